; The header of the machine that is part of the boot image: place 0 of the modules (modules.asm).
%include "hv.inc"
%include "module.inc"

global module_image
extern __text_end

section .rodata
align 8
module_image: MODULE_HEADER module_image, __text_end
