; AMD SVM: turning it on, making a vCPU, and the VMCB behind the neutral fields. vmx_vcpu.asm mirrors this file.
%include "hv.inc"
%include "vmcb.inc"

global svm_enable, svm_vcpu_init, svm_read, svm_write, svm_set_cr0, svm_set_cr3, svm_set_cr4, svm_set_efer, svm_set_tsc_offset
global svm_vcpu_end, svm_flush, svm_context_load, svm_context_save, svm_nested_entry, svm_set_pdpte, svm_next_rip
extern cr4_backed

section .bss
alignb PAGE
hsave:          resb PAGE
host_vmcb:      resb PAGE
iopm:           resb 3 * PAGE
msrpm:          resb 2 * PAGE
svm_next_rip:   resd 1                          ; mask for an instruction's length: 15 with NRIPS, 0 without
cr4_unbacked:   resd 1                          ; 1: the CPU has CR4 bits with state behind them that no guest may have

section .text

; What every guest is controlled by (APM vol. 2, 15.9-15.12), one bit a control.
; 1: INTR 0, NMI 1, SMI 2, INIT 3, RDPMC 15, CPUID 18, INVD 22, HLT 24, INVLPGA 26, I/O 27, MSR 28, SHUTDOWN 31
WANT_1          equ 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 15 | 1 << 18 | 1 << 22 | 1 << 24 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 31
WANT_1_VINTR    equ 1 << 4
WANT_1_IRET     equ 1 << 20
; 2: VMRUN 0, VMMCALL 1, VMLOAD 2, VMSAVE 3, STGI 4, CLGI 5, SKINIT 6, RDTSCP 7, WBINVD 9, MONITOR 10, MWAIT 11 12, XSETBV 13, RDPRU 14
WANT_2          equ 0x7EFF
; #DB 1 and #AC 17: delivering them can loop inside the CPU for ever (CVE-2015-8104, CVE-2015-5307)
EXCEPTIONS      equ 1 << 1 | 1 << 17

; SVM on this CPU (15.4). hv/boot's cpu_check has made sure of what is used.
svm_enable:
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_SVME
    wrmsr
    mov ecx, MSR_VM_HSAVE_PA
    mov eax, hsave                              ; identity: the image lies where it was linked, below 4 GiB
    xor edx, edx
    wrmsr
    mov eax, host_vmcb
    mov [gs:pc.host_vcb], rax
    vmsave
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
    xor r9d, r9d
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
    ; PKU 3, CET_SS 7, PKS 31; CET_IBT is EDX 20
    and ecx, 1 << 3 | 1 << 7 | 1 << 31
    and edx, 1 << 20
    or ecx, edx
    setnz r9b
.no_7:
    and r8d, CR4_OFFERED
    mov [cr4_backed], r8
    mov [cr4_unbacked], r9d
    ; all ports and MSRs exit, but for the MSRs that the VMCB keeps apart for each guest (two bits each: 15.11)
    mov rdi, iopm
    mov ecx, 5 * PAGE / 8
    mov rax, -1
    rep stosq
    mov edi, msrpm
    and word [rdi + 0x174 / 4], ~0x3F & 0xFFFF          ; SYSENTER 174h-176h
    and word [rdi + 0x800 + 0x80 / 4], ~0x3FC & 0xFFFF  ; STAR, LSTAR, CSTAR, SFMASK
    and byte [rdi + 0x800 + 0x100 / 4], ~0x3F & 0xFF    ; FS, GS, KERNEL_GS bases
    ret

; An entry of a nested table, for a 2 MiB block. In: RAX physical  Out: RAX
svm_nested_entry:
    or rax, PTE_P | PTE_W | PTE_U | PTE_PS      ; nested walks are user accesses (15.25.5)
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
    mov ecx, [cr4_unbacked]
    shl ecx, 16 + 4                             ; writes of CR4
    mov [rdx + INTERCEPT_CR], ecx
    mov eax, iopm
    mov [rdx + IOPM_BASE], rax
    mov eax, msrpm
    mov [rdx + MSRPM_BASE], rax
    mov rax, [r12 + guest.nested_pa]
    mov [rdx + N_CR3], rax
    mov rax, 0x0007040600070406
    mov [rdx + VMCB_PAT], rax
    ret

; The CPU keeps nothing of a VMCB that this kit does not flush anyway. In: R12 guest block
svm_vcpu_end:
    ret

; Register and ExitField -> VMCB offset and width. 0 means: not here (fields.asm has it, or nobody).
; In: ESI field, R12 guest block  Out: CF=1 not here; RAX  Clobbers: RCX
svm_read:
    mov ecx, [vmcb_of + rsi * 4]
    test ecx, ecx
    jz .special
    mov rax, [r12 + guest.vcb]
    bt ecx, 31
    movzx ecx, cx
    jc .word
    bt dword [vmcb_of + rsi * 4], 30
    jc .dword
    mov rax, [rax + rcx]
    clc
    ret
.dword:
    mov eax, [rax + rcx]
    clc
    ret
.word:
    movzx eax, word [rax + rcx]
    call is_attributes
    jne .plain
    ; VMCB form: 7:0 as in the descriptor, then AVL L D/B G at 11:8; not present is "unusable"
    mov ecx, eax
    and eax, 0xFF
    and ecx, 0xF00
    shl ecx, 4
    or eax, ecx
    test al, 0x80
    jnz .plain
    or eax, 0x10000
.plain:
    clc
    ret
.special:
    mov rcx, [r12 + guest.vcb]
    cmp esi, Register_Cr8
    je .cr8
    cmp esi, Register_InterruptShadow
    je .shadow
    cmp esi, Register_NmiBlocked
    je .nmi
    cmp esi, ExitField_InterruptWindow
    je .window
    cmp esi, ExitField_NmiWindow
    je .nmi
    cmp esi, Register_Efer
    je .efer
    cmp esi, Register_PendingDebug
    je .none
    cmp esi, ExitField_Vectoring
    je .vectoring
    cmp esi, ExitField_Inject
    je .inject
    stc
    ret
.none:
    xor eax, eax
    ret
.efer:
    mov rax, [rcx + VMCB_EFER]
    and rax, ~EFER_SVME
    ret
.cr8:
    mov eax, [rcx + V_INTR]
    and eax, 15
    ret
.shadow:
    mov eax, [rcx + INTERRUPT_SHADOW]
    and eax, 1
    ret
.nmi:                                           ; the IRET of an NMI handler is awaited
    mov eax, [rcx + INTERCEPT_1]
    shr eax, 20
    and eax, 1
    ret
.window:
    mov eax, [rcx + V_INTR]
    shr eax, 8
    and eax, 1
    ret
.vectoring:
    mov eax, [rcx + EXITINTINFO]
    clc
    ret
.inject:
    mov rax, [rcx + EVENTINJ]
    clc
    ret

; EQ: ESI is a segment's attributes. Clobbers: -
is_attributes:
    push rax
    lea eax, [rsi - Register_EsAttributes]
    cmp eax, Register_TrAttributes - Register_EsAttributes
    ja .no
    test al, 3                                  ; ZF: every fourth
.no:
    pop rax
    ret

; Writes what fields.asm has let through. In: ESI field, RDX value, R12 guest block  Out: CF=1 not here  Clobbers: RAX RCX
svm_write:
    cmp esi, Register_Count                     ; what an exit left is read only
    jae .special
    mov ecx, [vmcb_of + rsi * 4]
    test ecx, ecx
    jz .special
    mov rax, [r12 + guest.vcb]
    bt ecx, 31
    movzx ecx, cx
    jc .word
    bt dword [vmcb_of + rsi * 4], 30
    jc .dword
    mov [rax + rcx], rdx
    clc
    ret
.dword:
    mov [rax + rcx], edx
    clc
    ret
.word:
    call is_attributes
    jne .store
    push rdx
    push rcx
    mov ecx, edx
    and edx, 0xFF
    shr ecx, 4
    and ecx, 0xF00
    or edx, ecx
    test dword [rsp + 8], 0x10000
    jz .usable
    and edx, ~0x80
.usable:
    pop rcx
    mov [rax + rcx], dx
    cmp esi, Register_SsAttributes
    jne .attributes_done
    shr edx, 5                                  ; the CPL is SS's DPL, and has a place of its own
    and edx, 3
    mov [rax + VMCB_CPL], dl
.attributes_done:
    pop rdx
    clc
    ret
.store:
    mov [rax + rcx], dx
    clc
    ret
.special:
    mov rcx, [r12 + guest.vcb]
    cmp esi, Register_Cr8
    je .cr8
    cmp esi, Register_InterruptShadow
    je .shadow
    cmp esi, Register_NmiBlocked
    je .nmi
    cmp esi, ExitField_InterruptWindow
    je .window
    cmp esi, ExitField_NmiWindow
    je .accepted                                ; blocked NMIs are over at the IRET that is intercepted anyway
    cmp esi, ExitField_Inject
    je .inject
    cmp esi, ExitField_InjectLength
    je .accepted
    cmp esi, Register_PendingDebug
    je .pending
    stc
    ret
.cr8:
    mov [rcx + V_INTR], dl
    clc
    ret
.shadow:
    and edx, 1
    mov [rcx + INTERRUPT_SHADOW], edx
    clc
    ret
.nmi:
    and dword [rcx + INTERCEPT_1], ~WANT_1_IRET
    test edx, edx
    jz .accepted
    or dword [rcx + INTERCEPT_1], WANT_1_IRET
.accepted:
    clc
    ret
.pending:
    test rdx, rdx                               ; SVM has none: only 0
    jz .accepted
    stc
    ret
.window:
    and dword [rcx + INTERCEPT_1], ~WANT_1_VINTR
    and dword [rcx + V_INTR], ~(1 << 8)
    test edx, edx
    jz .accepted
    or dword [rcx + INTERCEPT_1], WANT_1_VINTR
    or dword [rcx + V_INTR], 1 << 8
    clc
    ret
.inject:
    mov [rcx + EVENTINJ], rdx
    and edx, 0x700
    cmp edx, 2 << 8
    jne .accepted
    or dword [rcx + INTERCEPT_1], WANT_1_IRET   ; an NMI blocks NMIs until its IRET
    clc
    ret

; In: RDX CR0 as the guest shall see it  Clobbers: RAX
svm_set_cr0:
    mov rax, [r12 + guest.vcb]
    mov [rax + VMCB_CR0], rdx
    ret

svm_set_cr3:
    mov rax, [r12 + guest.vcb]
    mov [rax + VMCB_CR3], rdx
    ret

svm_set_cr4:
    mov rax, [r12 + guest.vcb]
    mov [rax + VMCB_CR4], rdx
    ret

; In: RDX EFER, its LMA right. VMRUN wants SVME (15.5.1)
svm_set_efer:
    mov rax, rdx
    or eax, EFER_SVME
    mov rcx, [r12 + guest.vcb]
    mov [rcx + VMCB_EFER], rax
    ret

; In: RDX offset
svm_set_tsc_offset:
    mov rax, [r12 + guest.vcb]
    mov [rax + VMCB_TSC_OFFSET], rdx
; PDPTEs are read from memory at each use under nested paging (15.25.10)
svm_set_pdpte:
    ret

; Drops all nested translations of this CPU at the guest's next entry. In: R12 guest block  Clobbers: RAX
svm_flush:
    mov rax, [r12 + guest.vcb]
    mov byte [rax + TLB_CONTROL], 1
    ret

; The part of context.asm that the VMCB does not switch: nothing but this: all guests share an ASID, so that a CPU with few of
; them serves any number of guests; a change of guests flushes. In: R12 guest block  Clobbers: RAX
svm_context_load:
    jmp svm_flush

svm_context_save:
    ret

section .rodata
align 8
; what starts the same for every guest: offset, value
constant_fields:
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

; by Register and ExitField number: offset, bit 31 for 16 bits, bit 30 for 32, else 64
W16             equ 1 << 31
W32             equ 1 << 30
%macro FIELD 2
    times (%1 - ($ - vmcb_of) / 4) dd 0
    dd %2
%endmacro
%macro SEGMENT_FIELDS 2                         ; first Register of four, name
    FIELD %1, VMCB_ %+ %2 | W16
    FIELD %1 + 1, VMCB_ %+ %2 + 8
    FIELD %1 + 2, VMCB_ %+ %2 + 4 | W32
    FIELD %1 + 3, VMCB_ %+ %2 + 2 | W16
%endmacro
vmcb_of:
    FIELD Register_Rsp, VMCB_RSP
    FIELD Register_Rflags, VMCB_RFLAGS
    FIELD Register_Cr0, VMCB_CR0
    FIELD Register_Cr2, VMCB_CR2
    FIELD Register_Cr3, VMCB_CR3
    FIELD Register_Cr4, VMCB_CR4
    SEGMENT_FIELDS Register_EsSelector, ES
    SEGMENT_FIELDS Register_CsSelector, CS
    SEGMENT_FIELDS Register_SsSelector, SS
    SEGMENT_FIELDS Register_DsSelector, DS
    SEGMENT_FIELDS Register_FsSelector, FS
    SEGMENT_FIELDS Register_GsSelector, GS
    SEGMENT_FIELDS Register_LdtrSelector, LDTR
    SEGMENT_FIELDS Register_TrSelector, TR
    FIELD Register_GdtrBase, VMCB_GDTR + 8
    FIELD Register_GdtrLimit, VMCB_GDTR + 4 | W32
    FIELD Register_IdtrBase, VMCB_IDTR + 8
    FIELD Register_IdtrLimit, VMCB_IDTR + 4 | W32
    FIELD Register_Dr6, VMCB_DR6
    FIELD Register_Dr7, VMCB_DR7
    FIELD Register_Star, VMCB_STAR
    FIELD Register_Lstar, VMCB_LSTAR
    FIELD Register_Cstar, VMCB_CSTAR
    FIELD Register_Sfmask, VMCB_SFMASK
    FIELD Register_KernelGsBase, VMCB_KERNEL_GS
    FIELD Register_SysenterCs, VMCB_SYSENTER_CS
    FIELD Register_SysenterEsp, VMCB_SYSENTER_ESP
    FIELD Register_SysenterEip, VMCB_SYSENTER_EIP
    FIELD Register_Pat, VMCB_PAT
    FIELD ExitField_Qualification, EXITINFO1
    FIELD ExitField_Info2, EXITINFO2
    FIELD ExitField_VectoringError, (EXITINTINFO + 4) | W32
    times (ExitField_NmiWindow + 1 - ($ - vmcb_of) / 4) dd 0
