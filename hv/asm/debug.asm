; A guest's debugger: core's imports for it, and the way of a guest to it. Stepping is by TF, watched breakpoints by DR0-3, on both vendors:
; #DB is intercepted anyway, and INT1 (F1h), which stands for a software breakpoint, exits too while a debugger is there (on SVM by an
; intercept of its own). So nothing is left to do on the exit path of a guest that nobody debugs. hv/machine/debug.ts knows the exits.
%include "hv.inc"
%include "host.inc"

global debug_stopped
extern vendor_read, vendor_write, vendor_debug, core_hold, core_pending, boot_vendor, vector_stubs, traps_end, __rodata_end, __image_end

DR7_TAKEN       equ 0xFFFF03FF                  ; LEN, R/W, GE, LE, G, L: not GD, not RTM

section .text

IMPORT guestDebug                               ; ESI slot, EDX DebugFlag.Given bits, ECX from: DR0-3, DR7
    HOLD refused
    cmp dword [r12 + guest.paused], 0
    je .no
    mov eax, [r12 + guest.state]
    sub eax, RunState_Runnable
    cmp eax, RunState_Halted - RunState_Runnable
    ja .no
    mov r11d, edx
    mov edx, 5 * 8
    call core_range
    jc .no
    call apart
    jc .no
    push rbx
    push rbp
    mov ebx, r11d
    and ebx, DebugFlag_Given
    mov rbp, rcx
    call unstep
    test byte [r12 + guest.debug], DebugFlag_Hardware
    jz .own
    and dword [r12 + guest.debug], ~DebugFlag_Hardware
    mov rdx, [r12 + guest.own_dr7]
    call write_dr7
.own:
    mov rsi, rbp
    lea rdi, [r12 + guest.debug_dr]
    mov ecx, 4
    rep movsq
    mov eax, [rsi]
    and eax, DR7_TAKEN
    or eax, 0x400
    mov [r12 + guest.debug_dr7], rax
    test al, al
    jz .flags
    mov esi, Register_Dr7
    call [vendor_read]
    mov [r12 + guest.own_dr7], rax
    mov rdx, [r12 + guest.debug_dr7]
    call write_dr7
    or ebx, DebugFlag_Hardware
.flags:
    test ebx, DebugFlag_Step
    jz .set
    mov esi, Register_InterruptShadow           ; it ends with the instruction; until then no event comes
    xor edx, edx
    call [vendor_write]
    mov esi, Register_Rflags
    call [vendor_read]
    bts eax, 8
    jc .set
    or ebx, DebugFlag_Trap
    mov edx, eax
    mov esi, Register_Rflags
    call [vendor_write]
.set:
    mov [r12 + guest.debug], ebx
    mov dword [r12 + guest.stop], 0
    call tell
    lock or dword [r12 + guest.events], EventBit_Timer      ; what waited during steps, too
    mov eax, 1
    pop rbp
    pop rbx
    DONE
.no:
    xor eax, eax
    DONE

; Where the host's DR7 is the debugger's, too (svm_vcpu.asm), the host's own hits must have an end: none on what it writes while it takes one,
; its stacks among it, and no breakpoint in the code that does. In: RCX DR0-3, DR7  Out: CF=1 there is one  Clobbers: RAX RDX RSI R8-R10
apart:
    cmp dword [boot_vendor], Vendor_Svm
    jne .apart
    mov r8d, [rcx + 4 * 8]                      ; L and G, two bits each
    mov r9d, r8d
    shr r9d, 16                                 ; R/W and LEN, four bits each
    xor r10d, r10d
.next:
    mov rdx, [rcx + r10 * 8]
    test r8b, 3
    jz .fits
    test r9b, 3
    jnz .data
    sub rdx, vector_stubs
    mov eax, traps_end
    sub eax, vector_stubs
    cmp rdx, rax
    jb .done
    jmp .fits
.data:
    lea rsi, [rdx + 7]                          ; of at most eight bytes
    sub rsi, __rodata_end
    mov eax, __image_end
    sub eax, __rodata_end
    add eax, 7
    cmp rsi, rax
    jb .done
    shr rdx, 39                                 ; by entries of the PML4: windows, stacks, the direct map
    and edx, 511
    lea eax, [rdx - (WINDOWS >> 39)]
    cmp eax, WINDOW_COUNT / 32 + 1
    jb .done
    mov eax, edx
    and eax, ~1 & 511
    cmp eax, (DIRECT_MAP >> 39) & 511
    je .refused
    cmp edx, STACKS >> 39
    je .refused
.fits:
    shr r8d, 2
    shr r9d, 4
    inc r10d
    cmp r10d, 4
    jb .next
.apart:
    clc
.done:
    ret
.refused:
    stc
    ret

IMPORT guestStop                                ; ESI slot
    GUEST refused
    xor eax, eax
    xchg eax, [r12 + guest.stop]
    DONE

; The one in use. In: RDX  Clobbers: RAX RCX RSI
write_dr7:
    mov esi, Register_Dr7
    jmp [vendor_write]

; The machine and the intercepts are as guest.debug says. In: R12 guest block  Clobbers: RAX RCX RDX
tell:
    mov eax, [r12 + guest.debug]
    mov rcx, [r12 + guest.linear]
    mov [rcx + Layout_Debug + DebuggerRecord_Flags], eax
    jmp [vendor_debug]

; A step is over: TF is the guest's own again. In: R12 guest block, held or on this CPU  Clobbers: RAX RCX RDX RSI
unstep:
    mov eax, [r12 + guest.debug]
    test al, DebugFlag_Step
    jz .done
    and dword [r12 + guest.debug], ~(DebugFlag_Step | DebugFlag_Trap)
    test al, DebugFlag_Trap
    jz tell
    mov esi, Register_Rflags
    call [vendor_read]
    btr eax, 8
    mov edx, eax
    mov esi, Register_Rflags
    call [vendor_write]
    jmp tell
.done:
    ret

; Verdict.Break: the guest is the debugger's, and paused. A machine that says so without one ends its guest. In: R12 guest block, on this CPU
; Out: CF=1; ZF=1 there is no debugger  Clobbers: RAX RCX RDX
debug_stopped:
    cmp dword [r12 + guest.debug], 0
    je .none
    push rsi
    mov rax, [r12 + guest.linear]
    mov eax, [rax + Layout_Debug + DebuggerRecord_Stop]
    mov ecx, eax
    shr ecx, 14 - 2                             ; DebugStop.Step where DebugFlag.Pops is: TF is what was popped
    and ecx, [r12 + guest.debug]
    test cl, DebugFlag_Pops
    jz .trap
    and dword [r12 + guest.debug], ~DebugFlag_Trap
.trap:
    mov [r12 + guest.stop], eax
    call unstep
    pop rsi
    RDTSC64
    mov [r12 + guest.paused_at], rax
    mov dword [r12 + guest.paused], 1
    mov dword [r12 + guest.changed], 1
    lock or dword [core_pending], 1
    mov dword [gs:pc.attention], 1
    or eax, 1                                   ; ZF=0
.none:
    stc
    ret
