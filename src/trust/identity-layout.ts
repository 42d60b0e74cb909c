// What an identity directory holds: files that only their owner may read.
//
//   ca.crt          the farm's authority
//   ca.key          its key: only on an admin's box
//   member.pem      our own key and certificate: one file, so that no crash can pair a new key with an old certificate
//   farm.json       addresses of the farm's boxes (addresses.ts)
//   revocations/    signed lists (revocation-files.ts)
//   codes/          codes that wait for somebody to join: only on an admin's box (code-files.ts)
//   members/        certificates that were issued here or heard of (member-files.ts)
//
// The directory comes into being as a whole, by renaming one that is complete (identity-files.ts).
export const identityFiles = {
  caCertificate: 'ca.crt',
  caKey: 'ca.key',
  member: 'member.pem',
  addresses: 'farm.json',
  revocations: 'revocations',
  codes: 'codes',
  members: 'members',
} as const;
