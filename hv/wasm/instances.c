// What NASM must know of wasm2c's instance structures, measured by the compiler that lays them out: their sizes, and where the
// description of the linear memory (wasm_rt_memory_t: data, pages, max_pages, size) lies in them.
#include <stddef.h>

#include "core.h"
#include "machine.h"

// A copy of a machine has its guest block and its memory corrected (hv/asm/clone.asm), and nothing else: no table, no second memory.
_Static_assert(offsetof(Z_machine_instance_t, Z_guest_instance) == 0, "a copy's capability is its instance's first word");
_Static_assert(offsetof(Z_machine_instance_t, w2c_memory) + sizeof(wasm_rt_memory_t) == sizeof(Z_machine_instance_t) &&
                   sizeof(Z_machine_instance_t) % 8 == 0,
               "the memory's description is an instance's last part");

const unsigned core_instance_bytes = sizeof(Z_core_instance_t);
const unsigned core_instance_memory = offsetof(Z_core_instance_t, w2c_memory);
const unsigned machine_instance_bytes = sizeof(Z_machine_instance_t);
const unsigned machine_instance_memory = offsetof(Z_machine_instance_t, w2c_memory);
