// What a list of hosts in distcc's own syntax says: the types that its parser, the farm and the reports share.

/** A host that speaks distcc's protocol. */
export type DistccHost = {
  /** As it was written, less its limit and options: its name in every report. */
  readonly name: string;
  readonly transport:
    | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
    /** `user@host:command`: a distccd at the other end of an ssh. */
    | {
        readonly kind: 'ssh';
        readonly user: string | undefined;
        readonly host: string;
        readonly command: string | undefined;
      };
  /** Jobs at once: distcc's `/limit`, 4 unless it is given. */
  readonly limit: number;
  /** Protocol 1 plain, 2 with `lzo`, 3 with `cpp` as well (the server preprocesses). */
  readonly protocol: 1 | 2 | 3;
  /** GSS-API; the server's name where `auth=name` gives one. */
  readonly auth: { readonly principal: string | undefined } | undefined;
  /** Listed, and not used. */
  readonly down: boolean;
};

/** A whole list, as DISTCC_HOSTS or a hosts file gives it. */
export type DistccHostList = {
  readonly hosts: readonly DistccHost[];
  /** `localhost/n`: compiles here that need no network, in the list's order; undefined where the word is not there. */
  readonly localhost: number | undefined;
  /** `--localslots`, `--localslots_cpp`: at home, and preprocessing here for others. */
  readonly localSlots: number;
  readonly localCppSlots: number;
  readonly randomize: boolean;
  readonly zeroconf: boolean;
};
