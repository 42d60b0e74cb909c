// How a long-lived process of ours is started, for glibc: one arena, whose free end goes back to the system. Buffers come and
// go with every compile, and several arenas keep of them what they can: a client daemon of 5,000 files took 209 MB
// and takes 168 to 188 so, a worker of 120 files 66 and 54.
export const smallAllocator = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '65536' };
