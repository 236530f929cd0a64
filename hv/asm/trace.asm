; Watching a guest's exits, when somebody asks for it. The world switches call guest.exit, which is the machine's exit() as long as nobody does:
; that costs nothing. Else it is a routine of this file, which does the same and writes down what it saw (vmx_traced, svm_traced: a record of
; protocol/trace.ts into the guest's ring), or how long it took (exit_timed). Core reads the ring by numbers of records (host_trace.asm).
;
; The ring is TraceRing_Frames of the guest's frames in a row, at a multiple of their bytes, 64 KiB: the low word of guest.trace_at wraps
; around by itself. How many records there were is what the machine counted, since the ring is there.
%include "hv.inc"
%include "switch.inc"
%include "vmcb.inc"
%include "vmcs.inc"

global trace_set, trace_free, trace_count, trace_place, exits_total
extern boot_vendor, frame_claim, frame_release

%if TraceRing_Frames * PAGE != 0x10000 || TraceRing_Records * TraceRecord_Stride != 0x10000
%error the ring does not wrap with a word
%endif

section .text

; What both vendors have alike. The verdict and RAX come when the machine has decided.
; In: RDI instance, R12 guest block, RBX region, R13 record  Out: EAX Verdict  Clobbers: caller-saved
%macro TRACE_REST 0
    mov rax, [rbx + 8 * Register_Rax]
    mov [r13 + TraceRecord_Rax], rax
    mov rax, [rbx + 8 * Register_Rcx]
    mov [r13 + TraceRecord_Rcx], rax
    rdtsc
    mov [r13 + TraceRecord_Tsc], eax
    mov [r13 + TraceRecord_Tsc + 4], edx
    add word [r12 + guest.trace_at], TraceRecord_Stride
    mov rax, [r12 + guest.module]
    call [rax + ModuleHeader_Exit]
    mov [r13 + TraceRecord_Verdict], eax
    mov rcx, [rbx + 8 * Register_Rax]
    mov [r13 + TraceRecord_Result], rcx
    ret
%endmacro

; In: RDI instance, R12 guest block, RBX region, EDX reason  Out: EAX Verdict  Clobbers: caller-saved, R13
vmx_traced:
    mov r13, [r12 + guest.trace_at]
    mov [r13 + TraceRecord_Reason], edx
    mov rax, [rbx + VcpuRecord_Rip]
    mov [r13 + TraceRecord_Rip], rax
    mov ecx, QUALIFICATION
    vmread [r13 + TraceRecord_Qualification], rcx
    TRACE_REST

; In: RDI instance, R12 guest block, RBX region, EDX EXITCODE - EXIT_INTR, RCX RIP  Out: EAX Verdict  Clobbers: caller-saved, R13
svm_traced:
    mov r13, [r12 + guest.trace_at]
    mov [r13 + TraceRecord_Reason], edx         ; trace_place adds EXIT_INTR
    mov [r13 + TraceRecord_Rip], rcx
    mov rax, [rbx + EXIT_FROM_REGION + ExitRecord_Info1]
    mov [r13 + TraceRecord_Qualification], rax
    TRACE_REST

; The time that guest.exit_inner takes. In: RDI instance, R12 guest block, RBX region, RCX and EDX as above  Out: EAX Verdict
; Clobbers: caller-saved, R13-R15
exit_timed:
    mov r13d, edx
    rdtsc
    mov r14d, eax
    shl rdx, 32
    or r14, rdx
    mov edx, r13d
    call [r12 + guest.exit_inner]
    mov r15d, eax
    RDTSC64
    sub rax, r14
    add [r12 + guest.handling], rax
    mov eax, r15d
    ret

; Sets what a guest's exits are watched for. In: R12 guest block, held by core; EDX TraceMode bits, ECX first of the frames for a ring, should it
; have none  Out: EAX 1, 0 refused: nothing is changed  Clobbers: caller-saved
trace_set:
    push rbx
    push rbp
    mov ebx, edx
    mov ebp, ecx
    xor eax, eax
    cmp edx, TraceMode_All
    ja .out
    cmp [r12 + guest.instance_ptr], rax
    je .out
    test bl, TraceMode_Ring
    jz .no_ring
    test byte [r12 + guest.trace_modes], TraceMode_Ring
    jnz .set
    test ebp, TraceRing_Frames - 1
    jnz .out
    mov edi, ebp
.claim:
    mov esi, [r12 + guest.slot]
    call frame_claim
    jc .give_back
    inc edi
    test edi, TraceRing_Frames - 1
    jnz .claim
    shl rbp, 12
    TO_VIRTUAL rbp
    mov [r12 + guest.trace_at], rbp
    call exits_total
    mov [r12 + guest.trace_base], rax
    jmp .set
.no_ring:
    call trace_free
.set:
    mov [r12 + guest.trace_modes], ebx
    mov rax, [r12 + guest.module]
    mov rax, [rax + ModuleHeader_Exit]
    test bl, TraceMode_Ring
    jz .inner
    mov rax, vmx_traced
    cmp dword [boot_vendor], Vendor_Vmx
    je .inner
    mov rax, svm_traced
.inner:
    test bl, TraceMode_Time
    jz .outer
    mov [r12 + guest.exit_inner], rax
    mov rax, exit_timed
.outer:
    mov [r12 + guest.exit], rax
    mov eax, 1
.out:
    pop rbp
    pop rbx
    ret
.give_back:                                     ; those that were claimed, from EBP up to EDI
    cmp edi, ebp
    je .refused
    dec edi
    mov esi, [r12 + guest.slot]
    call frame_release
    jmp .give_back
.refused:
    xor eax, eax
    jmp .out

; The ring's frames go back, Dirty, if it has one. In: R12 guest block  Clobbers: RAX RCX RDX RDI RSI
trace_free:
    test byte [r12 + guest.trace_modes], TraceMode_Ring
    jz .none
    and byte [r12 + guest.trace_modes], ~TraceMode_Ring
    mov rdi, [r12 + guest.trace_at]
    sub rdi, [direct_map]
    shr rdi, 12
    and edi, -TraceRing_Frames
.frame:
    mov esi, [r12 + guest.slot]
    call frame_release
    inc edi
    test edi, TraceRing_Frames - 1
    jnz .frame
.none:
    ret

; Exits that the machine has counted. In: R12 guest block  Out: RAX  Clobbers: RCX
exits_total:
    xor eax, eax
    xor ecx, ecx
.reason:
    add rax, [r12 + guest.exits + rcx * 8]
    inc ecx
    cmp ecx, ExitReason_Count
    jb .reason
    ret

; Records since the ring is there. One more than was counted when the handler of the last one trapped before it counted.
; In: R12 guest block  Out: RAX  Clobbers: RCX
trace_count:
    xor eax, eax
    test byte [r12 + guest.trace_modes], TraceMode_Ring
    jz .none
    call exits_total
    sub rax, [r12 + guest.trace_base]
    movzx ecx, word [r12 + guest.trace_at]
    shr ecx, 6
    sub ecx, eax
    and ecx, TraceRing_Records - 1
    add rax, rcx
.none:
    ret

; Copies a record. In: R12 guest block, held by core, with a ring; EDX number of the record, RDI to: TraceRecord_End bytes
; Clobbers: RCX RDX RSI RDI
trace_place:
    and edx, TraceRing_Records - 1
    shl edx, 6
    mov rsi, [r12 + guest.trace_at]
    mov si, dx
    push rdi
    mov ecx, TraceRecord_End / 8
    rep movsq
    pop rdi
    cmp dword [boot_vendor], Vendor_Svm
    jne .reason
    add dword [rdi + TraceRecord_Reason], EXIT_INTR
.reason:
    ret
