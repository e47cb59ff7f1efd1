/* An interpreter (PT_INTERP) without a C library: says what the kernel mapped of the program that names it, and calls a function of it. */
typedef unsigned long word;
#if __SIZEOF_POINTER__ == 8
typedef struct { unsigned type, flags; word offset, vaddr, paddr, filesz, memsz, align; } Program;
typedef struct { unsigned name; unsigned char info, other; unsigned short section; word value, size; } Symbol;
#else
typedef struct { unsigned type, offset, vaddr, paddr, filesz, memsz, flags, align; } Program;
typedef struct { unsigned name, value, size; unsigned char info, other; unsigned short section; } Symbol;
#endif
typedef struct { word tag, value; } Dynamic;

#if defined(__x86_64__)
__asm__(".globl _start\n_start: mov %rsp,%rdi\n and $-16,%rsp\n call begin\n");
static long call(long n, long a, long b, long c) { long r; __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory"); return r; }
#define WRITE 1
#define EXIT 60
#elif defined(__i386__)
__asm__(".globl _start\n_start: mov %esp,%eax\n and $-16,%esp\n sub $12,%esp\n push %eax\n call begin\n");
static long call(long n, long a, long b, long c) { long r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(n), "b"(a), "c"(b), "d"(c) : "memory"); return r; }
#define WRITE 4
#define EXIT 1
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x0,sp\n bl begin\n");
static long call(long n, long a, long b, long c) { register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c; __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory"); return x0; }
#define WRITE 64
#define EXIT 93
#elif defined(__arm__)
__asm__(".globl _start\n_start: mov r0,sp\n bic sp,sp,#7\n bl begin\n");
static long call(long n, long a, long b, long c) { register long r7 __asm__("r7") = n, r0 __asm__("r0") = a, r1 __asm__("r1") = b, r2 __asm__("r2") = c; __asm__ volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2) : "memory"); return r0; }
#define WRITE 4
#define EXIT 1
#elif defined(__powerpc64__)
__asm__(".globl _start\n_start: mr 3,1\n bl 1f\n1: mflr 12\n addis 2,12,.TOC.-1b@ha\n addi 2,2,.TOC.-1b@l\n li 0,0\n stdu 0,-128(1)\n bl begin\n nop\n");
static long call(long n, long a, long b, long c) { register long r0 __asm__("r0") = n, r3 __asm__("r3") = a, r4 __asm__("r4") = b, r5 __asm__("r5") = c; __asm__ volatile("sc" : "+r"(r3), "+r"(r0), "+r"(r4), "+r"(r5) : : "cr0", "memory", "r6", "r7", "r8", "r9", "r10", "r11", "r12"); return r3; }
#define WRITE 4
#define EXIT 1
#elif defined(__s390x__)
__asm__(".globl _start\n_start: lgr %r2,%r15\n aghi %r15,-320\n brasl %r14,begin\n");
static long call(long n, long a, long b, long c) { register long r1 __asm__("r1") = n, r2 __asm__("r2") = a, r3 __asm__("r3") = b, r4 __asm__("r4") = c; __asm__ volatile("svc 0" : "+r"(r2) : "r"(r1), "r"(r3), "r"(r4) : "memory"); return r2; }
#define WRITE 4
#define EXIT 1
#elif defined(__riscv)
__asm__(".globl _start\n_start: mv a0,sp\n call begin\n");
static long call(long n, long a, long b, long c) { register long a7 __asm__("a7") = n, a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c; __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory"); return a0; }
#define WRITE 64
#define EXIT 93
#endif

static void say(const char *text) { long n = 0; while (text[n]) n++; call(WRITE, 1, (long)text, n); }
static int same(const char *a, const char *b) { while (*a && *a == *b) a++, b++; return *a == *b; }

void begin(word *stack) {
    word *at = stack + 1 + stack[0] + 1, base = 0, symbols = 0, count = 0;
    const char *strings = 0;
    Program *programs = 0, *one;
    Dynamic *dynamic = 0, *entry;
    while (*at) at++;
    for (at++; *at; at += 2) {
        if (*at == 3) programs = (Program *)at[1];
        if (*at == 5) count = at[1];
    }
    for (one = programs; one < programs + count; one++) if (one->type == 6) base = (word)programs - one->vaddr;
    for (one = programs; one < programs + count; one++) if (one->type == 2) dynamic = (Dynamic *)(base + one->vaddr);
    for (entry = dynamic; entry->tag; entry++) {
        if (entry->tag == 5) strings = (const char *)(base + entry->value);
        if (entry->tag == 6) symbols = base + entry->value;
        if (entry->tag == 21) entry->value = 1; /* DT_DEBUG: as the loader does */
    }
    for (entry = dynamic; entry->tag; entry++) {
        if (entry->tag == 1) { say("needed "); say(strings + entry->value); say("\n"); }
        if (entry->tag == 15) { say("rpath "); say(strings + entry->value); say("\n"); }
        if (entry->tag == 29) { say("runpath "); say(strings + entry->value); say("\n"); }
    }
    for (Symbol *symbol = (Symbol *)symbols + 1; symbol < (Symbol *)symbols + 16; symbol++)
        if (same(strings + symbol->name, "answer")) call(EXIT, ((int (*)(void))(base + symbol->value))(), 0, 0);
    call(EXIT, 1, 0, 0);
}
