// What may be handed on to the parts of a compiler: to the assembler (-Wa,), the preprocessor (-Wp,), clang's own
// front end (-Xclang) and its code generator (-mllvm). These have options of their own that read and write files, so
// only listed ones travel.

// Switches of gas, all without files. Listings (-a…), --MD, -I, -o and @files are not among them.
const assemblerSwitches = new Set([
  '--32',
  '--64',
  '--x32',
  '--divide',
  '--no-pad-sections',
  '-Qy',
  '-Qn',
  '-n',
  '-R',
  '-L',
  '--keep-locals',
  '-J',
  '--warn',
  '--no-warn',
  '--fatal-warnings',
  '-W',
  '-Z',
  '--noexecstack',
  '--execstack',
  '--strip-local-absolute',
  '-g',
  '--gen-debug',
  '--gdwarf-2',
  '--gdwarf-3',
  '--gdwarf-4',
  '--gdwarf-5',
  '--gstabs',
  '--gstabs+',
  '--compress-debug-sections',
  '--nocompress-debug-sections',
  '--traditional-format',
  '--reduce-memory-overheads',
]);

const assemblerValues =
  /^(?:-m[a-z0-9][\w.-]*(?:=[\w.+,-]+)?|--(?:compress-debug-sections|size-check|elf-stt-common|generate-missing-build-notes|multibyte-handling|hash-size|gdwarf-cie-version)=\w+|--defsym=?\w+=\w+)$/;

/** The words of `-Wa,` (split at commas) or one word of -Xassembler. */
export function isPlainForAssembler(words: readonly string[]): boolean {
  return words.every((word, index) => {
    if (words[index - 1] === '--defsym') return /^[\w.$]+=\w+$/.test(word);
    return word === '' || word === '--defsym' || assemblerSwitches.has(word) || assemblerValues.test(word);
  });
}

export type PreprocessorWord =
  | { readonly kind: 'define' | 'undefine'; readonly text: string }
  | { readonly kind: 'dependencies'; readonly file: string }
  | { readonly kind: 'target' };

/** The words of `-Wp,`; undefined if one is not known. The kernel's builds write `-Wp,-MMD,file`. */
export function preprocessorWords(words: readonly string[]): PreprocessorWord[] | undefined {
  const found: PreprocessorWord[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const next = words[at + 1];
    if (/^-[DU]./.test(word)) {
      found.push({ kind: word.startsWith('-D') ? 'define' : 'undefine', text: word.slice(2) });
    } else if ((word === '-MD' || word === '-MMD') && next !== undefined) {
      found.push({ kind: 'dependencies', file: next });
      at += 1;
    } else if ((word === '-MT' || word === '-MQ') && next !== undefined) {
      found.push({ kind: 'target' });
      at += 1;
    } else if (word !== '-MP') {
      return undefined;
    }
  }
  return found;
}

const clangSwitches = new Set([
  '-disable-O0-optnone',
  '-disable-llvm-passes',
  '-disable-llvm-optzns',
  '-fcolor-diagnostics',
  '-fno-pch-timestamp',
  '-fdebug-info-for-profiling',
  '-fno-validate-pch',
  '-fsanitize-address-use-odr-indicator',
  '-no-opaque-pointers',
  '-opaque-pointers',
  '-target-feature',
]);

/** One word of -Xclang. Words that stand for a value of the word before (+sse4.2) are told by their sign. */
export function isPlainForClang(word: string): boolean {
  return clangSwitches.has(word) || /^[+-](?:sse|avx|bmi|fma|neon|crc|crypto)[\w.]*$/.test(word);
}

const llvmValues =
  /^-(?:inline-threshold|inlinehint-threshold|unroll-threshold|unroll-count|align-all-functions|align-all-blocks|x86-[a-z-]+|aarch64-[a-z-]+|arm-[a-z-]+|asan-[a-z-]+|msan-[a-z-]+|sanitizer-coverage-[a-z-]+|max-devirt-iterations|vectorize-[a-z-]+)(?:=\w+)?$/;

/** One word of -mllvm. */
export function isPlainForLlvm(word: string): boolean {
  return llvmValues.test(word);
}
