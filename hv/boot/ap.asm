; How a further CPU comes to long mode. hv/asm/cpus.asm copies the trampoline to a page below 1 MiB and has the CPU start there:
;
;   1. real mode, at the page's beginning: protected mode, with boot64's descriptors
;   2. ap_entry32, in the image: the first CPU's page tables, long mode, all at once (nothing below 1 MiB is executable under them)
;   3. cpu_ap (hv/asm/cpus.asm), without a stack

%include "boot.inc"

extern boot_pml4, boot_gdt, cpu_ap
global ap_trampoline, ap_trampoline_bytes

SEL_CODE32 equ 24                               ; boot_gdt's last

section .rodata
bits 16
ap_trampoline:                                  ; CS:0
    cli
    o32 lgdt [cs:.gdt - ap_trampoline]
    mov eax, cr0
    or al, 1                                    ; PE
    mov cr0, eax
    jmp dword SEL_CODE32:ap_entry32
.gdt:
    dw 4 * 8 - 1
    dd boot_gdt
ap_trampoline_bytes equ $ - ap_trampoline

section .text
bits 32
ap_entry32:
    mov eax, SEL_DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov eax, 1 << 5                             ; PAE
    mov cr4, eax
    mov eax, boot_pml4
    mov cr3, eax
    mov ecx, 0xC0000080                         ; EFER
    rdmsr
    or eax, 1 << 8 | 1 << 11                    ; LME, NXE
    wrmsr
    mov eax, cr0
    or eax, 1 << 31 | 1 << 16                   ; PG, WP
    mov cr0, eax
    jmp SEL_CODE64:.long
bits 64
.long:
    jmp cpu_ap
