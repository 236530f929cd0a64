; The image's headers and the one 32-bit entry of all three ways in: multiboot (QEMU -kernel), multiboot2 (GRUB), our own disk loader.
;
;   1. keep what the loader left (EAX magic, EBX information)
;   2. without long mode: say so and stop
;   3. first page tables: the first 4 GiB, identity, 2 MB pages, all writable and executable (paging.asm replaces the entries)
;   4. long mode, then hv_entry
;
; Does not touch: the IDT (interrupts are off until hv/asm has one), the task register.

%include "boot.inc"

extern __image_end, hv_entry, serial_setup, serial_setup.end, shutdown_text
global entry32, boot_magic, boot_info, boot_pml4, boot_pdpt, boot_pds, boot_gdt, boot_gdt_pointer, boot_stack_top

; --- headers: in the first 8 KiB of the file (Multiboot 3.1.1; Multiboot2 3.1.1 asks for 32 KiB) ---------------------------
section .header progbits alloc exec nowrite align=8
    dd IMAGE_MAGIC, entry32, __image_end        ; struc image

MULTIBOOT1_FLAGS equ 2                          ; a memory map, please
    dd 0x1BADB002, MULTIBOOT1_FLAGS, -(0x1BADB002 + MULTIBOOT1_FLAGS)

align 8
multiboot2:
    dd 0xE85250D6, 0, .end - multiboot2         ; magic, 32-bit protected mode, length
    dd -(0xE85250D6 + .end - multiboot2)
    dw 1, 0                                     ; information request: a memory map
    dd 12, 6
align 8
    dw 0, 0                                     ; end
    dd 8
.end:

; --- entry ---------------------------------------------------------------------------------------------------------------
section .entry progbits alloc exec nowrite align=16
bits 32
entry32:
    cli
    cld
    mov esp, boot_stack_top
    mov [boot_magic], eax
    mov [boot_info], ebx

    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb no_long_mode
    mov eax, 0x80000001
    cpuid
    bt edx, 29                                  ; LM
    jnc no_long_mode

    mov dword [boot_pml4], boot_pdpt + (PTE_P | PTE_W)
    mov eax, boot_pds + (PTE_P | PTE_W)
    mov edi, boot_pdpt
    mov ecx, 4
.pdpt:
    mov [edi], eax
    add eax, PAGE
    add edi, 8
    loop .pdpt
    mov eax, PTE_P | PTE_W | PTE_PS
    mov edi, boot_pds
    mov ecx, 4 * 512
.pd:
    mov [edi], eax
    add eax, BLOCK
    add edi, 8
    loop .pd

    ; Order of SDM vol. 3, 10.8.5: PAE, CR3, EFER.LME, paging.
    mov eax, cr4
    or eax, 1 << 5                              ; PAE
    mov cr4, eax
    mov eax, boot_pml4
    mov cr3, eax
    mov ecx, 0xC0000080                         ; EFER
    rdmsr
    or eax, 1 << 8                              ; LME
    wrmsr
    mov eax, cr0
    or eax, 1 << 31                             ; PG
    mov cr0, eax
    lgdt [boot_gdt_pointer]
    jmp SEL_CODE64:hv_entry

; A CPU without 64 bits cannot run print.asm: the same, in short, for this one text.
no_long_mode:
    mov esi, serial_setup
.setup:
    movzx edx, byte [esi]
    mov al, [esi + 1]
    add esi, 2
    add edx, COM1
    out dx, al
    cmp esi, serial_setup.end
    jb .setup
    mov esi, no_long_mode_text
.next:
    mov ecx, 100000
    mov edx, COM1 + 5
.wait:
    in al, dx
    test al, 0x20                               ; LSR.THRE
    loopz .wait
    lodsb
    mov edx, COM1
    out dx, al
    cmp esi, no_long_mode_text.end
    jb .next
    mov ecx, 100000
    mov edx, COM1 + 5
.drain:
    in al, dx
    test al, 0x40                               ; LSR.TEMT
    loopz .drain
    mov al, 0x7F
    out 0xF4, al                                ; as early_stop: QEMU's isa-debug-exit, Bochs' shutdown port, or nothing
    mov esi, shutdown_text
    mov ecx, 8
    mov edx, 0x8900
    rep outsb
.halt:
    hlt
    jmp .halt

no_long_mode_text:
    db 0, "hvkit: cpu: long mode MISSING", 13, 10, "hvkit: stop: no usable hardware virtualization", 13, 10, 0
.end:

align 8
boot_gdt:
    dq 0
    dq 0x00AF9B000000FFFF                       ; SEL_CODE64: execute, read, accessed, long
    dq 0x00CF93000000FFFF                       ; SEL_DATA: read, write, accessed
    dq 0x00CF9B000000FFFF                       ; 32-bit code, for ap.asm
boot_gdt_pointer:
    dw $ - boot_gdt - 1
    dq boot_gdt

section .bss.entry nobits alloc write align=4096
boot_pml4:  resb PAGE
boot_pdpt:  resb PAGE
boot_pds:   resb 4 * PAGE
boot_stack: resb 4 * PAGE
boot_stack_top:
boot_magic: resd 1
boot_info:  resd 1
