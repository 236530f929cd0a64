// What NASM must know of wasm2c's instance structures, measured by the compiler that lays them out: their sizes, and where the
// description of the linear memory (wasm_rt_memory_t: data, pages, max_pages, size) lies in them.
#include <stddef.h>

#include "core.h"
#include "machine.h"

const unsigned core_instance_bytes = sizeof(Z_core_instance_t);
const unsigned core_instance_memory = offsetof(Z_core_instance_t, w2c_memory);
const unsigned machine_instance_bytes = sizeof(Z_machine_instance_t);
const unsigned machine_instance_memory = offsetof(Z_machine_instance_t, w2c_memory);
