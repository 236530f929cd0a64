; Two imports for the test variant `entry`, in no other image: a field of a guest's control block written as the test likes, and the block entered
; once. Interrupts are off meanwhile. What is entered must not run: its nested tables map nothing (the test sees to it), so that the first fetch
; exits, and under VMX the preemption timer has run out before.
%include "hv.inc"
%include "host.inc"
%include "vmcs.inc"

extern core_hold, boot_vendor, vmx_select, vmx_exit, vmx_state_fields, svm_state_fields

VMFAIL          equ 1 << 32                     ; in rawEnter's result: a VM-instruction error
LAUNCH_FIRST    equ 5
; svm_state.asm's table
W8              equ 1 << 11
W16             equ 1 << 12
W32             equ 1 << 13
OFFSET          equ 0x7FF
EXITCODE        equ 0x70

section .bss
alignb PAGE
empty:          resb 2 * PAGE                   ; of zeros

section .text

IMPORT rawEmpty                                 ; ESI 0 or 1: a page's physical address
    lea rax, [empty]
    and esi, 1
    shl esi, 12
    add rax, rsi
    ret

IMPORT rawWrite                                 ; ESI slot, EDX VmxField or SvmField, RCX value: what is no field is passed over
    HOLD refused
    mov esi, edx
    mov rdx, rcx
    cmp dword [boot_vendor], Vendor_Vmx
    jne .svm
    movzx ecx, word [vmx_state_fields + rsi * 2]
    bt ecx, 15
    jc .done
    call vmx_select
    vmwrite rcx, rdx
.done:
    DONE
.svm:
    movzx ecx, word [svm_state_fields + rsi * 2]
    bt ecx, 15
    jc .done
    mov eax, ecx
    and eax, OFFSET
    add rax, [r12 + guest.vcb]
    test ecx, W8
    jnz .byte
    test ecx, W16
    jnz .word
    test ecx, W32
    jnz .dword
    mov [rax], rdx
    DONE
.byte:
    mov [rax], dl
    DONE
.word:
    mov [rax], dx
    DONE
.dword:
    mov [rax], edx
    DONE

; ESI slot, EDX an MSR that there is none of, so that the engine's log has its number, or 0
; Out: RAX exit reason or exit code, or VMFAIL | error
IMPORT rawEnter
    HOLD refused
    push rbx
    push rbp
    push r13
    push r14
    push r15
    cli
    test edx, edx
    jz .unmarked
    mov ecx, edx
    rdmsr
.unmarked:
    cmp dword [boot_vendor], Vendor_Vmx
    jne .svm
    call vmx_select
    mov ecx, HOST_RSP
    vmwrite rcx, rsp
    mov ecx, HOST_RIP
    vmread rdx, rcx
    mov rax, vmx_exit
    cmp rax, rdx
    jne .refused_rip                            ; one that the test wants refused
    mov rax, .exit
    vmwrite rcx, rax
.refused_rip:
    mov ecx, PREEMPTION_TIMER
    xor eax, eax
    vmwrite rcx, rax
    vmresume
    call .error
    cmp eax, LAUNCH_FIRST
    jne .failed
    vmlaunch
    call .error
.failed:
    bts rax, 32
    jmp .left
.error:
    mov ecx, INSTRUCTION_ERROR
    vmread rax, rcx
    ret
.exit:
    mov ecx, EXIT_REASON
    vmread rax, rcx
.left:
    mov r13, rax
    mov ecx, HOST_RIP
    vmread rdx, rcx
    mov rax, .exit
    cmp rax, rdx
    jne .done
    mov rax, vmx_exit
    vmwrite rcx, rax
.done:
    mov rax, r13
.out:
    sti
    pop r15
    pop r14
    pop r13
    pop rbp
    pop rbx
    DONE
.svm:
    mov r13, [r12 + guest.vcb]
    mov rax, [r12 + guest.vcb_pa]
    clgi
    vmrun
    stgi
    mov eax, [r13 + EXITCODE]
    jmp .out
