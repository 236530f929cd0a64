// The machine's generated C beside V8. V8 goes first and writes down each call of an import, with its arguments and its answer; the
// native code then runs the same function, must make the same calls, gets the same answers, and must leave the same result and the same
// memory. So no import is written twice. test/unit/machine/native.ts calls this through koffi; calls.inc is made there.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "machine.h"

enum outcome { SAME, OTHER_CALL, OTHER_RESULT, OTHER_MEMORY, TRAPPED };

// As it lies in the product (InstancePage of hv/machine/layout.ts): the instance in the page below the memory, nothing else in the window.
#define WINDOW (16ull << 30)

struct call {
  u64 import, a, b, c, result;
};

static u8* memory;
static Z_machine_instance_t* instance;
static const struct call* calls;
static u32 count, position, where;
static sigjmp_buf out;

static u64 answer(u64 import, u64 a, u64 b, u64 c) {
  const struct call* call = calls + position;
  if (position >= count || call->import != import || call->a != a || call->b != b || call->c != c) siglongjmp(out, OTHER_CALL);
  position++;
  return call->result;
}

// Each import by `answer`, and u64 run(u32 function, const u64* given).
#include "calls.inc"

void wasm_rt_trap(wasm_rt_trap_t code) {
  where = code;
  siglongjmp(out, TRAPPED);
}

static void fault(int signal) { wasm_rt_trap(signal == SIGFPE ? WASM_RT_TRAP_DIV_BY_ZERO : WASM_RT_TRAP_OOB); }

void wasm_rt_allocate_memory(wasm_rt_memory_t* made, u32 pages, u32 max_pages) {
  *made = (wasm_rt_memory_t){memory, pages, max_pages, pages << 16};
}

void wasm_rt_free_memory(wasm_rt_memory_t* made) {}

u32 wasm_rt_register_func_type(u32 params, u32 results, ...) {
  static u32 types;
  return ++types;
}

// A machine that was just made, with nothing in it. 0: no address space for it.
int compare_reset(void) {
  if (!memory) {
    u8* window = mmap(0, WINDOW, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (window == MAP_FAILED || mprotect(window, PAGE_BYTES + MEMORY_BYTES, PROT_READ | PROT_WRITE)) return 0;
    memory = window + PAGE_BYTES;
  }
  memset(memory - PAGE_BYTES, 0, PAGE_BYTES + MEMORY_BYTES);
  instance = (Z_machine_instance_t*)(memory - PAGE_BYTES + INSTANCE);
  Z_machine_instantiate(instance, 0);
  return 1;
}

// Runs `function` with what the caller has put into [from, from + bytes) before. V8's signal handlers are back when it returns.
int compare_step(u32 function, const u64* given, const u8* before, u32 from, u32 bytes, const void* made, u32 made_count, u64 expected,
                 const u8* after) {
  struct sigaction mine = {.sa_handler = fault, .sa_flags = SA_NODEFER}, theirs[3];
  static const int signals[3] = {SIGSEGV, SIGBUS, SIGFPE};
  memcpy(memory + from, before, bytes);
  calls = made;
  count = made_count;
  position = 0;
  for (int i = 0; i < 3; i++) sigaction(signals[i], &mine, &theirs[i]);
  int outcome = sigsetjmp(out, 0);
  if (outcome == SAME) {
    u64 result = run(function, given);
    if (position != count) outcome = OTHER_CALL;
    else if (result != expected) outcome = OTHER_RESULT;
  }
  for (int i = 0; i < 3; i++) sigaction(signals[i], &theirs[i], 0);
  if (outcome == OTHER_CALL) where = position;
  if (outcome != SAME || !memcmp(memory, after, MEMORY_BYTES)) return outcome;
  for (where = 0; memory[where] == after[where];) where++;
  return OTHER_MEMORY;
}

// After an outcome that is not SAME: the number of the call, the address, the trap.
u32 compare_where(void) { return where; }
