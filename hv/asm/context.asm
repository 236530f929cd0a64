; vCPU state that changes hands only when a CPU changes guests: FPU, SSE and AVX registers, debug registers, and what the
; vendor does not switch by itself (vendor_context_load/save, in vmx.asm and svm.asm).
; While a guest is `loaded`, this CPU holds them; its context page is stale.
%include "hv.inc"

global context_load, context_drop, context_init
extern host_xcr0, vendor_context_load, vendor_context_save

section .text

; The state after reset. In: R12 guest block, its context page zeroed  Clobbers: RAX
context_init:
    mov rax, [r12 + guest.context]
    mov word [rax], 0x37F                       ; FCW; legacy area of XSAVE and FXSAVE alike
    mov dword [rax + 24], 0x1F80                ; MXCSR
    mov dword [rax + context.dr6], 0xFFFF0FF0
    mov qword [rax + context.xcr0], 1
    ret

; Makes this CPU hold a guest's state, saving that of the one before. In: R12 guest block  Clobbers: RAX RCX RDX RSI R10
context_load:
    cmp r12, [gs:pc.loaded]
    je .done
    call context_drop
    mov [gs:pc.loaded], r12
    mov r10, [r12 + guest.context]
    cmp qword [host_xcr0], 0
    je .fx
    mov eax, [host_xcr0]
    xor edx, edx
    xrstor64 [r10]
    mov eax, [r10 + context.xcr0]
    xor edx, edx
    xor ecx, ecx
    xsetbv
    jmp .debug
.fx:
    fxrstor64 [r10]
.debug:
    lea rsi, [r10 + context.dr]
    test byte [r12 + guest.debug], DebugFlag_Hardware
    jz .own
    lea rsi, [r12 + guest.debug_dr]
.own:
    mov rax, [rsi]
    mov dr0, rax
    mov rax, [rsi + 8]
    mov dr1, rax
    mov rax, [rsi + 16]
    mov dr2, rax
    mov rax, [rsi + 24]
    mov dr3, rax
    call [vendor_context_load]
.done:
    ret

; Saves what this CPU holds; afterwards it holds nobody's. Clobbers: RAX RCX RDX RSI R10
; Not interruptible: the watchdog may end a machine whose import came here, and half of a change must not stay.
context_drop:
    push r12
    pushfq
    cli
    mov r12, [gs:pc.loaded]
    test r12, r12
    jz .done
    mov r10, [r12 + guest.context]
    cmp qword [host_xcr0], 0
    je .fx
    xor ecx, ecx
    xgetbv
    mov [r10 + context.xcr0], rax
    mov eax, [host_xcr0]
    xor edx, edx
    xsetbv
    xsave64 [r10]
    jmp .debug
.fx:
    fxsave64 [r10]
.debug:
    test byte [r12 + guest.debug], DebugFlag_Hardware
    jnz .vendor                                 ; the guest's own are in the page
    mov rax, dr0
    mov [r10 + context.dr], rax
    mov rax, dr1
    mov [r10 + context.dr + 8], rax
    mov rax, dr2
    mov [r10 + context.dr + 16], rax
    mov rax, dr3
    mov [r10 + context.dr + 24], rax
.vendor:
    call [vendor_context_save]
    mov qword [gs:pc.loaded], 0
    mov dword [gs:pc.attention], 1              ; the guest that runs here gets it back before its next entry
.done:
    popfq
    pop r12
    ret
