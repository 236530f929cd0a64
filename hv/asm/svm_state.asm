; AMD SVM: a guest's VMCB, and what of the CPU an entry's checks depend on, by the numbers of protocol/vcb.ts. Read only: for hv/explain,
; off the exit path. vmx_state.asm mirrors this file.
;
; A VMRUN that is refused leaves the exit code INVALID. QEMU then has the host's registers in the state save area, and the event that was to be
; injected in EXITINTINFO; so the area is kept as the machine last wrote a register of it (svm_keep). A refused entry comes
; from such a write, or from the control area: what a guest does to its own registers the CPU takes back.
%include "hv.inc"
%include "vmcb.inc"

global svm_state, svm_state_fields, svm_keep

SAVE_AREA       equ VMCB_ES
; in the table: an offset 10:0, and its width
W8              equ 1 << 11
W16             equ 1 << 12
W32             equ 1 << 13                     ; none of them: 64 bits
CPUID_WORD      equ 1 << 15                     ; or a leaf 7:0 (bit 8: of 8000_0000h), and EAX EBX ECX EDX in 10:9
OFFSET          equ 0x7FF

section .text

; In: ESI field, R12 guest block  Out: RAX; 0: unknown  Clobbers: RCX RDX
svm_state:
    xor eax, eax
    cmp esi, SvmField_Count
    jae .done
    movzx edx, word [svm_state_fields + rsi * 2]
    bt edx, 15
    jc .cpuid
    movzx eax, dx
    and eax, OFFSET
    mov rcx, [r12 + guest.vcb]
    cmp dword [rcx + EXITCODE], EXIT_INVALID
    jne .there
    cmp esi, SvmField_EventInjection
    je .event
    cmp eax, SAVE_AREA
    jb .there
    mov rcx, [r12 + guest.context]
    add rcx, context.save_area - SAVE_AREA
.there:
    add rcx, rax
    movzx eax, byte [rcx]
    test edx, W8
    jnz .done
    movzx eax, word [rcx]
    test edx, W16
    jnz .done
    mov eax, [rcx]
    test edx, W32
    jnz .done
    mov rax, [rcx]
.done:
    ret
.event:
    mov rax, [rcx + EVENTINJ]
    bt eax, 31
    jc .done
    mov rax, [rcx + EXITINTINFO]
    ret
.cpuid:
    push rbx
    push rdx
    movzx eax, dl
    xor ecx, ecx
    shr edx, 8
    shl edx, 31
    or eax, edx
    cpuid
    xchg edx, [rsp]
    bt edx, 9
    cmovc eax, ebx
    bt edx, 10
    jnc .word
    mov eax, ecx
    bt edx, 9
    cmovc eax, [rsp]
.word:
    pop rdx
    pop rbx
    ret

; The machine wrote a register of the save area. In: R12 guest block  Clobbers: RAX RCX
svm_keep:
    push rsi
    push rdi
    mov rsi, [r12 + guest.vcb]
    add rsi, SAVE_AREA
    mov rdi, [r12 + guest.context]
    add rdi, context.save_area
    mov ecx, (VMCB_PAT + 8 - SAVE_AREA) / 8
    rep movsq
    pop rdi
    pop rsi
    ret

section .rodata
align 2
%macro FIELD 2                                  ; SvmField, VMCB offset and width
    times (SvmField_%1 - ($ - svm_state_fields) / 2) dw 0
    dw %2
%endmacro
%macro SEGMENT 2
    FIELD %1Selector, VMCB_ %+ %2 | W16
    FIELD %1Base, VMCB_ %+ %2 + 8
    FIELD %1Limit, (VMCB_ %+ %2 + 4) | W32
    FIELD %1Access, (VMCB_ %+ %2 + 2) | W16
%endmacro
%macro CPUID_FIELD 3                            ; SvmField, leaf, register
    FIELD %1, CPUID_WORD | (%2 & 0xFF) | (%2 >> 31 << 8) | %3 << 9
%endmacro
svm_state_fields:
    FIELD InterceptCr, INTERCEPT_CR | W32
    FIELD InterceptDr, INTERCEPT_DR | W32
    FIELD InterceptExceptions, INTERCEPT_EXCEPTIONS | W32
    FIELD Intercepts1, INTERCEPT_1 | W32
    FIELD Intercepts2, INTERCEPT_2 | W32
    FIELD IopmBase, IOPM_BASE
    FIELD MsrpmBase, MSRPM_BASE
    FIELD Asid, GUEST_ASID | W32
    FIELD TlbControl, TLB_CONTROL | W8
    FIELD VIntr, V_INTR
    FIELD InterruptShadow, INTERRUPT_SHADOW
    FIELD NestedControl, NP_ENABLE
    FIELD NestedCr3, N_CR3
    FIELD EventInjection, EVENTINJ
    SEGMENT Es, ES
    SEGMENT Cs, CS
    SEGMENT Ss, SS
    SEGMENT Ds, DS
    SEGMENT Fs, FS
    SEGMENT Gs, GS
    SEGMENT Ldtr, LDTR
    SEGMENT Tr, TR
    FIELD GdtrBase, VMCB_GDTR + 8
    FIELD GdtrLimit, (VMCB_GDTR + 4) | W32
    FIELD IdtrBase, VMCB_IDTR + 8
    FIELD IdtrLimit, (VMCB_IDTR + 4) | W32
    FIELD Cpl, VMCB_CPL | W8
    FIELD Efer, VMCB_EFER
    FIELD Cr0, VMCB_CR0
    FIELD Cr2, VMCB_CR2
    FIELD Cr3, VMCB_CR3
    FIELD Cr4, VMCB_CR4
    FIELD Dr6, VMCB_DR6
    FIELD Dr7, VMCB_DR7
    FIELD Rflags, VMCB_RFLAGS
    FIELD Rip, VMCB_RIP
    FIELD Rsp, VMCB_RSP
    FIELD Rax, VMCB_RAX
    FIELD Pat, VMCB_PAT
    FIELD ExitCode, EXITCODE
    FIELD ExitInfo1, EXITINFO1
    FIELD ExitInfo2, EXITINFO2
    CPUID_FIELD Features1, 1, 2
    CPUID_FIELD Features7B, 7, 1
    CPUID_FIELD Features7C, 7, 2
    CPUID_FIELD FeaturesExtended, 0x80000001, 3
    CPUID_FIELD FeaturesExtendedC, 0x80000001, 2
    CPUID_FIELD SvmFeatures, 0x8000000A, 3
    CPUID_FIELD AsidCount, 0x8000000A, 1
    CPUID_FIELD AddressBits, 0x80000008, 0
%if ($ - svm_state_fields) / 2 != SvmField_Count
%error an SvmField has no place
%endif
