; AMD SVM: turning it on, making a vCPU, what changes hands with it. vmx_vcpu.asm mirrors this file; the fields are in svm_fields.asm.
%include "hv.inc"
%include "vmcb.inc"

global svm_enable, svm_vcpu_init
global svm_vcpu_arrive, svm_vcpu_leave, svm_flush, svm_context_load, svm_context_save, svm_nested_entry, svm_nested_bits, svm_debug, svm_next_rip
extern boot_cpu, cr4_backed, svm_keep

section .bss
alignb PAGE
iopm:           resb 3 * PAGE
msrpm:          resb 2 * PAGE
svm_next_rip:   resd 1                          ; mask for an instruction's length: 15 with NRIPS, 0 without

section .text

; What every guest is controlled by (APM vol. 2, 15.9-15.12), one bit a control.
; 1: INTR 0, NMI 1, SMI 2, INIT 3, RDPMC 15, CPUID 18, INVD 22, HLT 24, INVLPGA 26, I/O 27, MSR 28, SHUTDOWN 31
WANT_1          equ 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 15 | 1 << 18 | 1 << 22 | 1 << 24 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 31
; 2: VMRUN 0, VMMCALL 1, VMLOAD 2, VMSAVE 3, STGI 4, CLGI 5, SKINIT 6, RDTSCP 7, WBINVD 9, MONITOR 10, MWAIT 11 12, XSETBV 13, RDPRU 14
WANT_2          equ 0x7EFF
; #DB 1 and #AC 17: delivering them can loop inside the CPU for ever (CVE-2015-8104, CVE-2015-5307)
; and #MC 18 is the host's. #UD 6: the machine knows instructions of the other vendor's
EXCEPTIONS      equ 1 << 1 | 1 << 6 | 1 << 17 | 1 << 18

; SVM on this CPU (15.4), and on the one that boots what is the same for all. hv/boot's cpu_check has made sure there of what is
; used. Out: CF=1 this CPU may not: the firmware forbids it  Clobbers: caller-saved
svm_enable:
    mov ecx, MSR_VM_CR
    rdmsr
    bt eax, 4                                   ; SVMDIS
    jc .forbidden
    push rbx
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_SVME
    wrmsr
    mov ecx, MSR_VM_HSAVE_PA
    mov rax, [gs:pc.self]                       ; identity: the image lies where it was linked, below 4 GiB
    add eax, CPU_VENDOR
    xor edx, edx
    wrmsr
    add eax, CPU_HOST_VMCB - CPU_VENDOR
    mov [gs:pc.host_vcb], rax
    vmsave
    mov eax, [boot_cpu]
    cmp [gs:pc.index], eax
    jne .done
    mov eax, 0x8000000A
    cpuid
    xor eax, eax
    test edx, 1 << 3                            ; NRIPS
    jz .no_nrips
    mov eax, 15
.no_nrips:
    mov [svm_next_rip], eax
    ; the CR4 bits that the CPU has, of those that guests are offered (15.5.1: VMRUN refuses others)
    mov eax, 1
    cpuid
    mov r8d, 0x7FF
    test ecx, 1 << 17
    jz .no_pcid
    or r8d, 1 << 17
.no_pcid:
    test ecx, 1 << 26
    jz .no_xsave
    or r8d, 1 << 18
.no_xsave:
    xor eax, eax
    cpuid
    cmp eax, 7
    jb .no_7
    mov eax, 7
    xor ecx, ecx
    cpuid
    test ebx, 1
    jz .no_fsgsbase
    or r8d, 1 << 16
.no_fsgsbase:
    test ebx, 1 << 7
    jz .no_smep
    or r8d, 1 << 20
.no_smep:
    test ebx, 1 << 20
    jz .no_smap
    or r8d, 1 << 21
.no_smap:
    test ecx, 1 << 2
    jz .no_umip
    or r8d, 1 << 11
.no_umip:
.no_7:
    and r8d, CR4_OFFERED
    mov [cr4_backed], r8
    ; all ports and MSRs exit, but for the MSRs that the VMCB keeps apart for each guest (two bits each: 15.11)
    mov rdi, iopm
    mov ecx, 5 * PAGE / 8
    mov rax, -1
    rep stosq
    mov edi, msrpm
    and word [rdi + 0x174 / 4], ~0x3F & 0xFFFF          ; SYSENTER 174h-176h
    and word [rdi + 0x800 + 0x80 / 4], ~0x3FC & 0xFFFF  ; STAR, LSTAR, CSTAR, SFMASK
    and byte [rdi + 0x800 + 0x100 / 4], ~0x3F & 0xFF    ; FS, GS, KERNEL_GS bases
.done:
    pop rbx
    clc
.forbidden:
    ret

; An entry of a nested table, for a 2 MiB block. In: RAX physical  Out: RAX
svm_nested_entry:
    or rax, PTE_P | PTE_W | PTE_U | PTE_PS      ; nested walks are user accesses (15.25.5)
    ret

; An entry's rights in NestedBit's form. In: RAX as the CPU has it  Out: RAX, its low byte in that form  Clobbers: RDX
svm_nested_bits:
    mov rdx, rax
    not rdx
    shr rdx, 63
    shl edx, 2                                  ; what is not NX executes
    and al, PTE_P | PTE_W | NestedBit_Accessed | NestedBit_Dirty | NestedBit_Large
    test al, PTE_P
    jz .none
    or al, dl
    ret
.none:
    xor eax, eax
    ret

; A vCPU in the state after reset, in real mode. In: R12 guest block (vcb: a zeroed page; nested_pa: a table of ours)
; Clobbers: caller-saved
svm_vcpu_init:
    mov rdx, [r12 + guest.vcb]
    mov rsi, constant_fields
.constant:
    mov ecx, [rsi]
    mov eax, [rsi + 4]
    mov [rdx + rcx], eax
    add rsi, 8
    cmp rsi, constant_fields.end
    jb .constant
    mov eax, iopm
    mov [rdx + IOPM_BASE], rax
    mov eax, msrpm
    mov [rdx + MSRPM_BASE], rax
    mov rax, [r12 + guest.nested_pa]
    mov [rdx + N_CR3], rax
    mov rax, 0x0007040600070406
    mov [rdx + VMCB_PAT], rax
    ; a TSC of another rate: each RDTSC exits (1: RDTSC 14)
    mov rax, TSC_ONE
    cmp rax, [r12 + guest.tsc_ratio]
    je .rate
    or dword [rdx + INTERCEPT_1], 1 << 14
.rate:
    jmp svm_keep

; A CPU keeps nothing of a VMCB that this kit does not flush anyway: the save area of the host is found through the CPU's block.
; In: R12 guest block
svm_vcpu_arrive:
svm_vcpu_leave:
    ret

; Drops all nested translations of this CPU at the guest's next entry. In: R12 guest block  Clobbers: RAX
svm_flush:
    mov rax, [r12 + guest.vcb]
    mov byte [rax + TLB_CONTROL], 1
    ret

; The part of context.asm that the VMCB does not switch: nothing but this: all guests share an ASID, so that a CPU with few of
; them serves any number of guests; a change of guests flushes. In: R12 guest block  Clobbers: RAX
svm_context_load:
    test byte [r12 + guest.debug], DebugFlag_Hardware
    jz svm_flush
    mov rax, [r12 + guest.debug_dr7]            ; QEMU sets breakpoints at this instruction, and not at VMRUN (traps.asm takes the
    mov dr7, rax                                ; host's own hits)
    jmp svm_flush

svm_context_save:
    test byte [r12 + guest.debug], DebugFlag_Hardware
    jz .done
    mov eax, 0x400
    mov dr7, rax
.done:
    ret

; What exits for a debugger's sake: during a step each exception, with debug registers of its own each MOV DR, and INT1. In: R12 guest block
; Clobbers: RAX RCX RDX
svm_debug:
    mov rax, [r12 + guest.vcb]
    mov edx, EXCEPTIONS
    test byte [r12 + guest.debug], DebugFlag_Step
    jz .exceptions
    or edx, -1
.exceptions:
    mov [rax + INTERCEPT_EXCEPTIONS], edx
    xor edx, edx
    test byte [r12 + guest.debug], DebugFlag_Hardware
    jz .moves
    mov edx, 0xFF00FF
.moves:
    mov [rax + INTERCEPT_DR], edx
    and dword [rax + INTERCEPT_2], ~(1 << 8)    ; ICEBP
    mov ecx, [r12 + guest.debug]
    and ecx, DebugFlag_Attached
    shl ecx, 8
    or [rax + INTERCEPT_2], ecx
    ret

section .rodata
align 8
; what starts the same for every guest: offset, value
constant_fields:
    ; writes of CR4: bits with state behind them that no guest may have (protection keys, CET), and QEMU does not refuse VMXE
    dd INTERCEPT_CR, 1 << (16 + 4)
    dd INTERCEPT_EXCEPTIONS, EXCEPTIONS
    dd INTERCEPT_1, WANT_1
    dd INTERCEPT_2, WANT_2
    dd GUEST_ASID, 1
    dd V_INTR, 1 << 20 | 1 << 24
    dd NP_ENABLE, 1
    dd VMCB_EFER, EFER_SVME
    dd VMCB_CR0, 0x10
    dd VMCB_DR6, 0xFFFF0FF0
    dd VMCB_DR7, 0x400
    dd VMCB_RFLAGS, 2
    ; selector 0 and attributes, then the limit
    dd VMCB_ES, 0x93 << 16
    dd VMCB_ES + 4, 0xFFFF
    dd VMCB_CS, 0x9B << 16
    dd VMCB_CS + 4, 0xFFFF
    dd VMCB_SS, 0x93 << 16
    dd VMCB_SS + 4, 0xFFFF
    dd VMCB_DS, 0x93 << 16
    dd VMCB_DS + 4, 0xFFFF
    dd VMCB_FS, 0x93 << 16
    dd VMCB_FS + 4, 0xFFFF
    dd VMCB_GS, 0x93 << 16
    dd VMCB_GS + 4, 0xFFFF
    dd VMCB_LDTR, 0x82 << 16
    dd VMCB_LDTR + 4, 0xFFFF
    dd VMCB_TR, 0x8B << 16
    dd VMCB_TR + 4, 0xFFFF
    dd VMCB_GDTR + 4, 0xFFFF
    dd VMCB_IDTR + 4, 0xFFFF
.end:
