; What a machine module begins with that is loaded while guests run (module.ld, scripts/lib/module.mjs). hv/asm/modules.asm reads it.
%include "hv.inc"
%include "module.inc"

global module_header
extern __module_text_end

section .module progbits alloc exec nowrite align=16
module_header: MODULE_HEADER module_header, __module_text_end
