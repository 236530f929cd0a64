; The one interface to both vendors: a table of routines, chosen once at boot. vmx*.asm and svm*.asm have them in the same order.
%include "hv.inc"

%macro ROUTINES 1-*
  %assign i 0
  %rep %0
    global vendor_%1
    vendor_%1 equ vendor_table + i * 8
    extern vmx_%1, svm_%1
    %rotate 1
    %assign i i + 1
  %endrep
%endmacro
%macro TABLE 2-*
  %define prefix %1
  %rotate 1
  %rep %0 - 1
    dq prefix %+ %1
    %rotate 1
  %endrep
%endmacro
%define ALL enable, run, vcpu_init, vcpu_arrive, vcpu_leave, read, write, set_cr0, set_cr3, set_cr4, set_efer, set_tsc_offset, set_pdpte, state, flush, \
    context_load, context_save, nested_entry, nested_bits, debug

global vendor_choose

section .bss
alignb 8
    ROUTINES ALL
vendor_table:   resq i

section .rodata
align 8
vmx_table: TABLE vmx_, ALL
svm_table: TABLE svm_, ALL
tables_end:

section .text

; In: EAX Vendor  Clobbers: RCX RSI RDI
vendor_choose:
    mov rsi, vmx_table
    cmp eax, Vendor_Vmx
    je .copy
    mov rsi, svm_table
.copy:
    mov rdi, vendor_table
    mov ecx, (tables_end - svm_table) / 8
    rep movsq
    ret
