// Ordinary options: what they do is the compiler's business, as long as they reach it as they are.
import type { Case, End, Theme } from '../case.ts';

const c = `#include "x.h"
static int table[] = {1, 2, 3};
int f(int x, struct s *p) { int unused; if (x > 2) return table[x % 3] + p->a; return ANSWER; }
double g(double a, double b, double c) { double r = a * b + c; for (int i = 0; i < 100; i++) r += a * i; return r; }
void h(char *to, const char *from) { char buffer[64]; for (int i = 0; i < 64; i++) buffer[i] = from[i]; for (int i = 0; i < 64; i++) to[i] = buffer[63 - i]; }
`;
const cxx = `#include "x.h"
struct base { virtual ~base() {} virtual int run() = 0; };
template <class T> struct derived : base { T value; int run() override { if (!value) throw 1; return value; } };
int f() { derived<int> d; try { return d.run(); } catch (int e) { return e; } }
const char *name() { static const char *n = __FILE__; return n; }
`;
const files = {
  'x.c': c,
  'x.cc': cxx,
  'x.h': '#ifndef ANSWER\n#define ANSWER 42\n#endif\nstruct s { int a; char b; };\n',
};

const optionLines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .slice(1, -1);

type More = Pick<Case, 'on' | 'ends' | 'clangEnds'>;

/** A case for each line of options, of a C source. */
function inC(lines: string, more: More = {}): Case[] {
  return optionLines(lines).map((line) => ({ name: line, files, run: `$CC ${line} -c x.c -o x.o`, ...more }));
}

function inCxx(lines: string, more: More = {}): Case[] {
  return optionLines(lines).map((line) => ({
    name: `C++ ${line}`,
    files,
    run: `$CXX ${line} -c x.cc -o x.o`,
    ...more,
  }));
}

const gcc = { on: 'gcc' } as const;
const clang = { on: 'clang' } as const;
const here = (reason: End): Pick<Case, 'ends'> => ({ ends: [reason] });
const hereGcc = (reason: End): More => ({ ...gcc, ends: [reason] });
const hereClang = (reason: End): More => ({ ...clang, ends: [reason] });

const ofCode = `
  -O
  -O1
  -O2 -Wall -Wextra
  -O3 -ffast-math
  -Os
  -Ofast
  -O2 -fno-strict-aliasing -fwrapv
  -g
  -g0
  -g1 -O1
  -g3
  -ggdb3
  -gdwarf-4
  -gdwarf-5 -O2
  -gz
  -g -gno-column-info
  -fPIC
  -fpie -O2
  -fno-pic -mcmodel=large
  -shared -fPIC
  -static
  -pthread
  -fopenmp
  -no-pie
  -fstack-protector-strong
  -fstack-clash-protection
  -fcf-protection=full
  -fsanitize=address
  -fsanitize=undefined -g
  -fsanitize=thread
  -fsanitize=address,undefined -fno-sanitize-recover=all
  -ffunction-sections -fdata-sections
  -fvisibility=hidden
  -fcommon
  -fshort-enums
  -fpack-struct=1
  -funsigned-char
  -march=x86-64-v3 -O3
  -mtune=generic
  -mavx2 -mfma -O2
  -msse4.2
  -mno-red-zone
  -m32 -O2
  -mcmodel=kernel -fno-pie
  -fno-builtin
  -ffreestanding
  -fno-common -fno-ident
  -fomit-frame-pointer
  -funroll-loops -O2
  -fno-asynchronous-unwind-tables
  -p
  -pg
  -finstrument-functions
  -fno-inline -O2
  -fverbose-asm
  -pipe
  -fno-plt -fPIC
  -ftls-model=initial-exec
  -ffile-prefix-map=$PWD=/src -g
  -fdebug-prefix-map=$PWD=. -g
  -fmacro-prefix-map=x=y
  -frandom-seed=abc
  -fdebug-types-section -g
`;

const ofLanguage = `
  -std=c99 -pedantic
  -std=gnu11
  -ansi
  -std=c2x
  --std=c11
  -std=iso9899:1999
  -trigraphs
  -Wall -Werror
  -Werror=unused-variable -Wall
  -w
  -Wno-error -Wunused
  -pedantic-errors
  -D_FORTIFY_SOURCE=2 -O2
  -DANSWER=7
  -D ANSWER=7 -U ANSWER
  -DANSWER="(1 + 1)"
  -D'ANSWER(x)=x' -UANSWER
  -D ANSWER
  -U__linux__
  -undef
  -Wl,--as-needed -lm -L. -s
  -rdynamic -Wl,-rpath,/x
  -Xlinker --gc-sections
  -nostartfiles -nostdlib
  -z now
  -u symbol
`;

const ofGcc: readonly Case[] = [
  ...inC(
    `
    --param=max-inline-insns-single=10 -O2
    --param ssp-buffer-size=4
    -O2 -fno-tree-vectorize -fipa-pta
    -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer
    -fanalyzer
    -Wlogical-op -Wduplicated-cond
    -fprofile-arcs -frandom-seed=1
    -fprofile-generate -frandom-seed=1
    -fpatchable-function-entry=2
    -mfentry -pg
    -flto -frandom-seed=1 -O2
    -flto -ffat-lto-objects -frandom-seed=1
    -flto=auto -frandom-seed=1
    -fwhole-program -O2
    -fno-canonical-system-headers
    -grecord-gcc-switches -g
    -gno-record-gcc-switches -g
    -gstrict-dwarf -gdwarf-3
    -ggdb -gpubnames
    -fopt-info-vec -O3
    -fopt-info -O2
    -Wa,--noexecstack
    -Wa,-mrelax-relocations=no
    -Wa,--compress-debug-sections=zlib -g
    -Wa,-W
    -fmax-errors=1
    -Wno-nonsense
    -mindirect-branch=thunk -mfunction-return=thunk
    -fconserve-stack
    -fplan9-extensions
    -fvtable-verify=none
    -fsanitize=kernel-address
    -fstack-limit-register=rbx
    -ffixed-rbx
    -fcall-used-rbx
    -fstack-check
    -fprefetch-loop-arrays -O3
    -floop-nest-optimize -O2
    -fselective-scheduling2 -O2
    -fno-working-directory -g
  `,
    gcc,
  ),
  ...inC('\n-march=native\n-mtune=native -O2\n', here('native-arch')),
  ...inC('\n-fdirectives-only\n-traditional-cpp\n', hereGcc('traditional')),
  ...inC('\n-finput-charset=ISO-8859-1\n-fexec-charset=ISO-8859-1\n-fexec-charset=UTF-16\n', hereGcc('charset')),
  ...inC('\n-finput-charset=UTF-8 -fexec-charset=utf-8\n'),
  ...inC('\n-fexec-charset=UTF-16BE -fwide-exec-charset=UTF-16LE\n-fexec-charset=UTF-32LE\n', gcc),
  ...inC('\n-foffload=disable\n', hereGcc('several-architectures')),
  ...inC(
    '\n-fdump-tree-gimple\n-fdump-tree-optimized -O2\n-fcompare-debug\n-dP -fdump-noaddr\n',
    hereGcc('dump-files'),
  ),
  ...inC('\n-fno-such-option\n-mno-such\n-mcmodel=kernel\n', hereGcc('probe-failed')),
  ...inC('\n-Wnonsense\n', hereGcc('remote-compile-failed')),
  ...inC('\n--nonsense\n-nonsense\n', hereGcc('unknown-option')),
  ...inC('\n-fplugin=./none.so\n', hereGcc('plugin')),
  ...inC('\n-B.\n-specs=none.specs\n-no-integrated-cpp\n', hereGcc('own-parts')),
  ...inC('\n-fprofile-use\n-fauto-profile=none\n-fbranch-probabilities\n', hereGcc('profile-use')),
];

const ofClang: readonly Case[] = [
  ...inC(
    `
    -Weverything
    -gline-tables-only
    -glldb
    -fstandalone-debug -g
    -fno-standalone-debug -g
    -gdwarf32
    -gsimple-template-names -g
    -fcolor-diagnostics -Wall
    -fno-caret-diagnostics -Wall
    -fdiagnostics-format=vi -Wall
    -fdiagnostics-absolute-paths -Wall
    -ferror-limit=1
    -Wnonsense
    -Wno-unused-command-line-argument -Wl,-s
    -flto
    -flto=thin
    -emit-llvm
    -fsanitize=memory
    -fsanitize=safe-stack
    -fsanitize=cfi -flto -fvisibility=hidden
    -fsanitize=fuzzer-no-link
    -fsanitize-coverage=trace-pc-guard
    -fprofile-instr-generate
    -fprofile-instr-generate -fcoverage-mapping
    -fprofile-generate
    -fcs-profile-generate -O2
    -fdebug-info-for-profiling -g
    -fxray-instrument
    -Xclang -disable-O0-optnone
    -mllvm -inline-threshold=10 -O2
    -Xclang -target-feature -Xclang +avx
    -mllvm -asan-stack=0 -fsanitize=address
    -Xclang -fno-pch-timestamp
    --target=aarch64-linux-gnu
    -target i686-linux-gnu
    --target=x86_64-pc-windows-msvc -mno-incremental-linker-compatible
    --target=wasm32
    -fintegrated-as
    -integrated-as
    -faddrsig -ffunction-sections
    -fno-addrsig
    -fno-discard-value-names
    -mrelax-all
    -fglobal-isel
    -Rpass=inline -O2
    -Rpass-missed=loop-vectorize -O3
    -fblocks
    -fms-extensions
    -fborland-extensions
    -ftrivial-auto-var-init=pattern
    -mstack-alignment=32
    -mretpoline
    -femulated-tls
    -fdebug-compilation-dir=/src -g
    -ffile-compilation-dir=. -g
  `,
    clang,
  ),
  ...inC('\n-fno-integrated-as\n-no-integrated-as\n', hereClang('own-parts')),
  ...inC('\n--config ./none.cfg\n-B.\n--gcc-toolchain=/none\n-resource-dir=/none\n', hereClang('own-parts')),
  ...inC('\n-fsave-optimization-record -O2\n-save-stats\n-fcrash-diagnostics-dir=.\n', hereClang('dump-files')),
  ...inC('\n-Xclang -dwarf-debug-flags -Xclang x\n-mllvm -stats\n-mllvm -print-after-all\n', hereClang('pass-through')),
  ...inC('\n-fmodules\n-fmodules-cache-path=m -fmodules\n', hereClang('modules')),
  ...inC('\n-fprofile-instr-use=none\n-fprofile-sample-use=none\n', hereClang('profile-use')),
  ...inC('\n-fsanitize-ignorelist=none.txt\n-ivfsoverlay none.yaml\n', hereClang('virtual-files')),
  ...inC('\n--nonsense\n-nonsense\n-working-directory=..\n', hereClang('unknown-option')),
  ...inC('\n-arch x86_64\n', hereClang('several-architectures')),
  ...inC('\n-v\n', hereClang('verbose')),
  ...inC('\n-fno-such-option\n', hereClang('probe-failed')),
  ...inC('\n-fxray-always-instrument=none\n', hereClang('virtual-files')),
];

const cplusplus: readonly Case[] = [
  ...inCxx(`
    -std=c++20 -O2
    -std=c++98
    -std=gnu++17 -Wall -Wextra -Wshadow
    -fno-exceptions
    -fno-rtti
    -fvisibility-inlines-hidden -O1
    -g -fdebug-types-section
  `),
  ...inCxx(
    `
    -nostdinc++
    -fno-threadsafe-statics
    -faligned-new=16
    -fcoroutines -std=c++20
    -ftemplate-depth=10
    -Weffc++ -Wnon-virtual-dtor
    -fabi-version=11
  `,
    gcc,
  ),
  ...inCxx(
    `
    -stdlib=libstdc++
    -fstrict-vtable-pointers -O2
    -fexperimental-new-constant-interpreter
    -fsized-deallocation
    -Wno-everything
    -fsanitize=vptr
  `,
    clang,
  ),
  ...inCxx('\n-fmodules-ts -std=c++20\n', hereGcc('modules')),
];

export const options: Theme = {
  name: 'option',
  cases: [...inC(ofCode), ...inC(ofLanguage), ...ofGcc, ...ofClang, ...cplusplus],
};
