/** With which distcc's programs end for reasons of their own. */
export const distccExit = {
  failed: 100,
  badArguments: 101,
  bindFailed: 102,
  ioError: 107,
  compilerMissing: 110,
  noHosts: 116,
  timeout: 118,
} as const;
