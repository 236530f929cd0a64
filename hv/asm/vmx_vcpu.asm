; Intel VMX: turning it on, making a vCPU, what changes hands with it. svm_vcpu.asm mirrors this file; the fields are in vmx_fields.asm.
%include "hv.inc"
%include "vmcs.inc"

global vmx_enable, vmx_vcpu_init
global tsc_scaling, vmx_vcpu_arrive, vmx_vcpu_leave, vmx_flush, vmx_context_load, vmx_context_save, vmx_nested_entry, vmx_nested_bits, vmx_debug
extern vmx_select, vmx_exit, host_idtr, boot_cpu, cr4_backed, tsc_khz

section .bss
alignb PAGE
msr_bitmap:     resb PAGE
alignb 8
revision:       resd 1
pin:            resd 1
primary:        resd 1
secondary:      resd 1
tsc_scaling:    resd 1                          ; the secondary control "use TSC scaling", where there is one
exits:          resd 1
entries:        resd 1
; INVEPT and INVVPID descriptors
alignb 16
descriptor:     resq 2

section .text

%macro VMWRITE 2                                ; field, value; clobbers RAX RCX
    mov ecx, %1
    mov rax, %2
    vmwrite rcx, rax
%endmacro

; What every guest is controlled by (SDM vol. 3, 25.6): wanted bits; what the CPU demands is added by `adjust`.
; pin: external interrupts 0 and NMIs 3 are the host's; virtual NMIs 5, which NMI-window exiting needs (27.2.1.1); preemption timer 6,
; where there is one: Bochs masks external interrupts in a guest that is entered with IF=0 until its IF changes, and a guest that
; spins so would never exit
WANT_PIN        equ 1 << 0 | 1 << 3 | 1 << 5 | 1 << 6
PREEMPTION_US   equ 1000                        ; each entry starts it anew: no VMWRITE on the exit path
; primary: TSC offset 3, HLT 7, MWAIT 10, RDPMC 11, CR8 load 19 and store 20, all I/O 24, MSR bitmaps 28, MONITOR 29, secondary 31
WANT_PRIMARY    equ 1 << 3 | 1 << 7 | 1 << 10 | 1 << 11 | 1 << 19 | 1 << 20 | 1 << 24 | 1 << 28 | 1 << 29 | 1 << 31
; secondary: EPT 1, VPID 5, WBINVD 6, unrestricted guest 7. RDTSCP, INVPCID, XSAVES stay off: #UD
WANT_SECONDARY  equ 1 << 1 | 1 << 5 | 1 << 6 | 1 << 7
; exit: save debug controls 2, 64-bit host 9, save and load PAT 18 19, save and load EFER 20 21
WANT_EXITS      equ 1 << 2 | 1 << 9 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21
; entry: load debug controls 2, PAT 14, EFER 15
WANT_ENTRIES    equ 1 << 2 | 1 << 14 | 1 << 15

; #DB 1 and #AC 17 are intercepted: delivering them can loop inside the CPU for ever (CVE-2015-8104, CVE-2015-5307)
; and #MC 18 is the host's. #UD 6: the machine knows instructions of the other vendor's
EXCEPTIONS      equ 1 << 1 | 1 << 6 | 1 << 17 | 1 << 18

; In: ECX capability MSR, EDI wanted  Out: EAX  Clobbers: RDX
adjust:
    rdmsr
    or eax, edi
    and eax, edx
    ret

; VMX operation on this CPU (SDM vol. 3, 24.7), and on the one that boots what is the same for all. hv/boot's cpu_check has made sure there of
; what is used. Out: CF=1 this CPU cannot, or may not: the firmware forbids it  Clobbers: caller-saved
vmx_enable:
    mov ecx, MSR_FEATURE_CONTROL
    rdmsr
    test al, 1                                  ; locked: by hv/boot's cpu_check, or by the firmware
    jnz .locked
    or eax, 5
    wrmsr
.locked:
    test al, 4                                  ; VMX outside SMX
    jz .failed
    mov rax, cr4
    bts rax, 13
    mov cr4, rax
    mov ecx, MSR_VMX_CR0_FIXED0
    rdmsr
    mov rcx, cr0
    or rcx, rax
    mov cr0, rcx
    mov ecx, MSR_VMX_BASIC
    rdmsr
    and eax, 0x7FFFFFFF
    mov [revision], eax
    mov rcx, [gs:pc.self]                       ; identity: the image lies where it was linked
    add rcx, CPU_VENDOR
    mov [rcx], eax
    push rcx
    vmxon [rsp]
    pop rcx
    jbe .failed
    mov eax, [boot_cpu]
    cmp [gs:pc.index], eax
    jne .done
    mov ecx, MSR_VMX_TRUE_PIN
    mov edi, WANT_PIN
    call adjust
    mov [pin], eax
    mov ecx, MSR_VMX_TRUE_PRIMARY
    mov edi, WANT_PRIMARY
    call adjust
    mov [primary], eax
    mov ecx, MSR_VMX_SECONDARY
    mov edi, WANT_SECONDARY
    call adjust
    mov r8d, eax
    and edx, 1 << 25
    mov [tsc_scaling], edx
    mov ecx, MSR_VMX_EPT_VPID                   ; VPIDs only where all of them can be flushed: INVVPID 32, all contexts 42
    rdmsr
    and edx, 1 << 0 | 1 << 10
    cmp edx, 1 << 0 | 1 << 10
    je .vpid
    and r8d, ~(1 << 5)
.vpid:
    mov [secondary], r8d
    mov ecx, MSR_VMX_TRUE_EXIT
    mov edi, WANT_EXITS
    call adjust
    mov [exits], eax
    mov ecx, MSR_VMX_TRUE_ENTRY
    mov edi, WANT_ENTRIES
    call adjust
    mov [entries], eax
    mov ecx, MSR_VMX_CR4_FIXED1
    rdmsr
    and eax, CR4_OFFERED
    mov [cr4_backed], rax
    ; all MSRs exit, but for those that context.asm or the VMCS keep apart for each guest
    mov rdi, msr_bitmap
    mov ecx, PAGE / 8
    mov rax, -1
    rep stosq
    mov edi, msr_bitmap                         ; reads: 0 low, 400h high; writes: 800h low, C00h high
    and byte [rdi + 0x174 / 8], ~0x70 & 0xFF    ; SYSENTER 174h-176h
    and byte [rdi + 0x800 + 0x174 / 8], ~0x70 & 0xFF
    and byte [rdi + 0x400 + 0x80 / 8], ~0x1E & 0xFF     ; STAR, LSTAR, CSTAR, SFMASK
    and byte [rdi + 0xC00 + 0x80 / 8], ~0x1E & 0xFF
    and byte [rdi + 0x400 + 0x100 / 8], ~7 & 0xFF       ; FS, GS, KERNEL_GS bases
    and byte [rdi + 0xC00 + 0x100 / 8], ~7 & 0xFF
.done:
    clc
    ret
.failed:
    stc
    ret

; An entry of a nested table, for a 2 MiB block. In: RAX physical  Out: RAX
vmx_nested_entry:
    or rax, 0xB7                                ; read, write, execute, write-back, 2 MiB (28.3.2)
    ret

; An entry's rights in NestedBit's form. In: RAX as the CPU has it  Out: RAX, its low byte in that form  Clobbers: RDX
vmx_nested_bits:
    mov edx, eax
    shr edx, 3                                  ; accessed and dirty are bits 8 and 9 (28.3.2)
    and edx, NestedBit_Accessed | NestedBit_Dirty
    and al, NestedBit_Read | NestedBit_Write | NestedBit_Execute | NestedBit_Large
    or al, dl
    ret

; A vCPU in the state after reset, in real mode. In: R12 guest block (vcb: a zeroed page; nested_pa: a table of ours)
; Clobbers: caller-saved
vmx_vcpu_init:
    push rbx
    mov rax, [r12 + guest.vcb]
    mov ecx, [revision]
    mov [rax], ecx
    push qword [r12 + guest.vcb_pa]
    vmclear [rsp]
    add rsp, 8
    mov dword [r12 + guest.launched], 0
    call vmx_select
    mov rbx, constant_fields
.constant:
    mov ecx, [rbx]
    mov eax, [rbx + 4]
    vmwrite rcx, rax
    add rbx, 8
    cmp rbx, constant_fields.end
    jb .constant

    ; a TSC of another rate: scaled, or each RDTSC exits (primary control 12)
    mov edi, [primary]
    mov esi, [secondary]
    mov rax, TSC_ONE
    cmp rax, [r12 + guest.tsc_ratio]
    je .rate
    mov eax, [tsc_scaling]
    test eax, eax
    jz .exiting
    or esi, eax
    VMWRITE TSC_MULTIPLIER, [r12 + guest.tsc_ratio]
    jmp .rate
.exiting:
    or edi, 1 << 12
.rate:
    VMWRITE PIN_CONTROLS, [pin]
    VMWRITE PRIMARY_CONTROLS, rdi
    VMWRITE SECONDARY_CONTROLS, rsi
    VMWRITE EXIT_CONTROLS, [exits]
    VMWRITE ENTRY_CONTROLS, [entries]
    test dword [secondary], 1 << 5
    jz .no_vpid
    mov eax, [r12 + guest.slot]
    inc eax
    mov ecx, VPID
    vmwrite rcx, rax
.no_vpid:
    mov rax, [r12 + guest.nested_pa]
    or rax, 6 | 3 << 3                          ; write-back, four levels (25.6.11)
    mov ecx, EPT_POINTER
    vmwrite rcx, rax
    mov ecx, MSR_VMX_MISC                       ; its rate: the TSC's, shifted right by bits 4:0 (appendix A.6)
    rdmsr
    mov ecx, eax
    and ecx, 31
    imul rax, [tsc_khz], PREEMPTION_US / 1000
    shr rax, cl
    mov ecx, PREEMPTION_TIMER
    test dword [pin], 1 << 6
    jz .no_preemption
    vmwrite rcx, rax
.no_preemption:
    VMWRITE MSR_BITMAP, msr_bitmap
    VMWRITE VMCS_LINK, -1
    mov rax, [cr4_backed]
    not rax
    mov ecx, CR4_MASK
    vmwrite rcx, rax
    VMWRITE GUEST_PAT, 0x0007040600070406

    mov rax, cr0
    mov ecx, HOST_CR0
    vmwrite rcx, rax
    mov rax, cr3
    mov ecx, HOST_CR3
    vmwrite rcx, rax
    mov rax, cr4
    mov ecx, HOST_CR4
    vmwrite rcx, rax
    mov ecx, MSR_EFER
    rdmsr
    mov ecx, HOST_EFER
    vmwrite rcx, rax
    mov ecx, MSR_PAT
    rdmsr
    shl rdx, 32
    or rax, rdx
    mov ecx, HOST_PAT
    vmwrite rcx, rax
    VMWRITE HOST_IDTR_BASE, [host_idtr + 2]
    VMWRITE HOST_RIP, vmx_exit
    pop rbx
    ret

; A guest comes to this CPU from another one: what the host's side of its VMCS says of the CPU. In: R12 guest block  Clobbers: RAX RCX
vmx_vcpu_arrive:
    call vmx_select
    VMWRITE HOST_GS_BASE, [gs:pc.self]
    add rax, pc.gdt
    mov ecx, HOST_GDTR_BASE
    vmwrite rcx, rax
    add rax, pc.tss - pc.gdt
    mov ecx, HOST_TR_BASE
    vmwrite rcx, rax
    ret

; This CPU forgets a VMCS: its page has all of it, for another CPU or for something else. In: R12 guest block  Clobbers: RAX
vmx_vcpu_leave:
    mov rax, [r12 + guest.vcb_pa]
    cmp rax, [gs:pc.vmcs]
    jne .clear
    mov qword [gs:pc.vmcs], 0
.clear:
    push rax
    vmclear [rsp]
    pop rax
    mov dword [r12 + guest.launched], 0
    ret

; Drops all nested translations of this CPU. Clobbers: RAX
vmx_flush:
    mov eax, 2                                  ; all contexts
    invept rax, [descriptor]
    test dword [secondary], 1 << 5
    jz .done
    invvpid rax, [descriptor]
.done:
    ret

; The part of context.asm that the VMCS does not switch. In: R10 context page, R12 guest block  Clobbers: RAX RCX RDX
vmx_context_load:
    mov rax, [r10 + context.dr6]
    mov dr6, rax
    mov rax, [r10 + context.cr2]
    mov cr2, rax
%macro LOAD_MSR 2
    mov ecx, %1
    mov eax, [r10 + %2]
    mov edx, [r10 + %2 + 4]
    wrmsr
%endmacro
    LOAD_MSR MSR_STAR, context.star
    LOAD_MSR MSR_LSTAR, context.lstar
    LOAD_MSR MSR_CSTAR, context.cstar
    LOAD_MSR MSR_SFMASK, context.sfmask
    LOAD_MSR MSR_KERNEL_GS, context.kernel_gs
    ret

vmx_context_save:
    mov rax, dr6
    mov [r10 + context.dr6], rax
    mov rax, cr2
    mov [r10 + context.cr2], rax
%macro SAVE_MSR 2
    mov ecx, %1
    rdmsr
    mov [r10 + %2], eax
    mov [r10 + %2 + 4], edx
%endmacro
    SAVE_MSR MSR_STAR, context.star
    SAVE_MSR MSR_LSTAR, context.lstar
    SAVE_MSR MSR_CSTAR, context.cstar
    SAVE_MSR MSR_SFMASK, context.sfmask
    SAVE_MSR MSR_KERNEL_GS, context.kernel_gs
    ret

; What exits for a debugger's sake: during a step each exception, with debug registers of its own each MOV DR. In: R12 guest block
; Clobbers: RAX RCX RDX
vmx_debug:
    call vmx_select
    mov edx, EXCEPTIONS
    test byte [r12 + guest.debug], DebugFlag_Step
    jz .exceptions
    or edx, -1
.exceptions:
    mov ecx, EXCEPTION_BITMAP
    vmwrite rcx, rdx
    mov ecx, PRIMARY_CONTROLS
    vmread rax, rcx
    btr eax, 23                                 ; MOV-DR exiting
    test byte [r12 + guest.debug], DebugFlag_Hardware
    jz .moves
    bts eax, 23
.moves:
    vmwrite rcx, rax
    ret

section .rodata
align 8
; what starts the same for every guest: field, value
constant_fields:
    dd EXCEPTION_BITMAP, EXCEPTIONS
    dd CR0_MASK, CR0_HOST
    dd CR0_SHADOW, 0x10
    dd CR4_SHADOW, 0
    dd GUEST_CR0, 0x10 | CR0_NE
    dd GUEST_CR4, CR4_VMXE
    dd GUEST_DR7, 0x400
    dd GUEST_RFLAGS, 2
    dd GUEST_CS, 0
    dd GUEST_CS_LIMIT, 0xFFFF
    dd GUEST_CS_ACCESS, 0x9B
    dd GUEST_SS_LIMIT, 0xFFFF
    dd GUEST_SS_ACCESS, 0x93
    dd GUEST_DS_LIMIT, 0xFFFF
    dd GUEST_DS_ACCESS, 0x93
    dd GUEST_ES_LIMIT, 0xFFFF
    dd GUEST_ES_ACCESS, 0x93
    dd GUEST_FS_LIMIT, 0xFFFF
    dd GUEST_FS_ACCESS, 0x93
    dd GUEST_GS_LIMIT, 0xFFFF
    dd GUEST_GS_ACCESS, 0x93
    dd GUEST_LDTR_LIMIT, 0xFFFF
    dd GUEST_LDTR_ACCESS, 0x82
    dd GUEST_TR_LIMIT, 0xFFFF
    dd GUEST_TR_ACCESS, 0x8B
    dd GUEST_GDTR_LIMIT, 0xFFFF
    dd GUEST_IDTR_LIMIT, 0xFFFF
    dd HOST_CS, SEL_CODE
    dd HOST_SS, SEL_DATA
    dd HOST_DS, SEL_DATA
    dd HOST_ES, SEL_DATA
    dd HOST_TR, SEL_TSS
.end:
