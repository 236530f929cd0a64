; The first 64-bit code: brings the machine from "long mode, one flat map" to what hv_main may rely on.
;
;   1. segments and a stack
;   2. COM1 speaks (for what follows, and for a panic)
;   3. unpack.asm: until here all code is of the section .entry, from here on all is there
;   4. cpu.asm: is the virtualization there that hvkit needs? It stops, with a list, if not.
;   5. memory.asm: the loader's memory map -> boot_ranges
;   6. cpus.asm: the firmware's tables -> boot_cpus
;   7. paging.asm: the final map of the image and of physical memory
;   8. hv_main (hv/asm): interrupts off, direction flag clear, boot stack, no IDT yet

%include "boot.inc"
bits 64
default rel

extern boot_stack_top, early_init_serial, image_unpack, cpu_check, memory_collect, cpus_find, paging_build, hv_main, early_stop
global hv_entry

section .entry progbits alloc exec nowrite align=16
hv_entry:
    mov eax, SEL_DATA
    mov ss, eax
    mov ds, eax
    mov es, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    lea rsp, [boot_stack_top]
    xor ebp, ebp
    call early_init_serial
    call image_unpack
    call cpu_check
    call memory_collect
    call cpus_find
    call paging_build
    call hv_main
    jmp early_stop
