// What NASM must know of wasm2c's instance structures, measured by the compiler that lays them out: their sizes, and where the
// description of the linear memory (wasm_rt_memory_t: data, pages, max_pages, size) lies in them.
#include <stddef.h>

#include "core.h"
#include "machine.h"

const unsigned core_instance_bytes = sizeof(Z_core_instance_t);
const unsigned core_instance_memory = offsetof(Z_core_instance_t, w2c_memory);
const unsigned machine_instance_bytes = sizeof(Z_machine_instance_t);
const unsigned machine_instance_memory = offsetof(Z_machine_instance_t, w2c_memory);
// A copy of a machine has its guest block and its memory corrected (hv/asm/clone.asm), and nothing else: one that has more behind its memory's
// description, a table, is not copied.
_Static_assert(offsetof(Z_machine_instance_t, Z_guest_instance) == 0, "a machine's capability is its instance's first word");
const unsigned machine_instance_more =
    sizeof(Z_machine_instance_t) - offsetof(Z_machine_instance_t, w2c_memory) - sizeof(wasm_rt_memory_t);
