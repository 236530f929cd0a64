; Intel VMX: the run loop's world switch. svm.asm mirrors this file, routine by routine; vmx_vcpu.asm has a vCPU's making and fields.
;
; The switch, in numbered steps:
;   1. vmx_run selects the guest's VMCS and tells the CPU where an exit lands
;   2. .enter: nothing pending -> RIP and general registers from the VcpuRecord, VMRESUME
;   3. vmx_exit: general registers back; a host interrupt is taken and the guest goes on (2)
;   4. else RIP and the exit record are filled (5 VMREADs) and the machine decides; Verdict.Resume goes to 2
; NOT saved here: FPU, debug registers, CR2, SYSCALL MSRs (context.asm, when the CPU changes guests).
%include "hv.inc"
%include "switch.inc"
%include "vmcs.inc"

global vmx_run, vmx_exit, vmx_select
extern share_exit, run_look, run_verdict, run_trapped

section .text

; Makes a guest's VMCS the current one. In: R12 guest block  Clobbers: RAX
vmx_select:
    mov rax, [r12 + guest.vcb_pa]
    cmp rax, [gs:pc.vmcs]
    je .done
    mov qword [gs:pc.vmcs], 0                   ; nobody's, should the watchdog come in between
    vmptrld [r12 + guest.vcb_pa]
    mov [gs:pc.vmcs], rax
.done:
    ret

; Runs a guest until its slice ends or it has nothing to do. In: R12 guest block, interrupts off  Clobbers: all
vmx_run:
    call vmx_select
    mov ecx, HOST_RSP
    vmwrite rcx, rsp
    inc dword [gs:pc.vmcs_accesses]
    mov [gs:pc.trap_rsp], rsp
    mov rax, .trapped
    mov [gs:pc.trap_rip], rax
.look:
    call run_look
    jc .leave
.enter:
    cmp dword [gs:pc.attention], 0
    jne .look
    mov rbx, [gs:pc.region]
.go:                                            ; RBX region; attention was 0
    mov ecx, GUEST_RIP
    vmwrite rcx, [rbx + VcpuRecord_Rip]
    mov rax, [rbx]
    LOAD_GPRS
    vmresume
    ; not launched yet, or VMfail: no guest code has run, general registers are as loaded
    mov r12, [gs:pc.guest]
    cmp dword [r12 + guest.launched], 0
    jne .failed
    mov dword [r12 + guest.launched], 1
    mov rbx, [gs:pc.region]
    mov rax, [rbx]
    LOAD_GPRS
    vmlaunch
    mov r12, [gs:pc.guest]
.failed:
    mov ecx, INSTRUCTION_ERROR
    vmread rdx, rcx
    mov eax, EndReason_EntryFailed
    call run_trapped
.leave:
    ret
.trapped:                                       ; EAX EndReason, RDX value
    mov r12, [gs:pc.guest]
    mov qword [gs:pc.in_machine], 0
    mov dword [r12 + guest.lock], 0
    call run_trapped
    ret

; Every exit lands here, at vmx_run's stack pointer, interrupts off.
vmx_exit:
    push rax
    mov rax, [gs:pc.region]
    SAVE_GPRS
    mov rbx, rax
    pop qword [rax]
    mov r12, [gs:pc.guest]
    mov ecx, EXIT_REASON
    vmread rdx, rcx
    cmp edx, 1                                  ; external interrupt
    je .host
    cmp edx, EXIT_EPT_VIOLATION
    jae .high
.plain:
    mov [rbx + EXIT_FROM_REGION + ExitRecord_Reason], edx
    mov ecx, GUEST_RIP
    vmread [rbx + VcpuRecord_Rip], rcx
    test edx, edx                               ; exception or NMI
    jz .exception
.record:
    mov ecx, GUEST_INTERRUPTIBILITY
    vmread rax, rcx
    and eax, 3                                  ; by STI, by MOV SS (table 25-3)
    mov [rbx + EXIT_FROM_REGION + ExitRecord_Shadow], eax
    mov ecx, GUEST_RFLAGS
    vmread [rbx + EXIT_FROM_REGION + ExitRecord_Rflags], rcx
    mov ecx, INSTRUCTION_LENGTH
    vmread [rbx + EXIT_FROM_REGION + ExitRecord_Length], rcx
    add dword [gs:pc.vmcs_accesses], 6          ; these, and RIP at the next entry
    CALL_MACHINE_EXIT sti, cli
    mov edx, eax
    or edx, [gs:pc.attention]
    jz vmx_run.go                               ; resume, and nothing has come up
    test eax, eax
    jz vmx_run.look
    call run_verdict
    jnc vmx_run.look
    ret
.high:
    je .nested
    cmp edx, 52                                 ; preemption timer: vmx_vcpu.asm says what for
    jne .plain
.host:
    add dword [gs:pc.vmcs_accesses], 3
    mov ecx, GUEST_RIP
    vmread [rbx + VcpuRecord_Rip], rcx
    sti                                         ; the interrupt is taken here
    nop
    cli
    jmp vmx_run.enter
.exception:
    mov ecx, EXIT_INTERRUPTION
    vmread rdx, rcx                             ; as the trace has it (TraceRecord.Reason)
    inc dword [gs:pc.vmcs_accesses]
    and edx, 0x7FF
    cmp edx, 0x202
    je .nmi
    cmp edx, 0x312
    jne .record
    int 18                                      ; and so is a machine check
.nmi:
    int 2                                       ; an NMI is the host's
; A write to what is there, and may not be written to (28.3.3.2, table 28-7: 1 a write, 3 readable): memory that the guest shares. What it
; interrupted the delivery of is delivered again.
.nested:
    mov ecx, QUALIFICATION
    vmread rbp, rcx
    mov eax, ebp
    and eax, 1 << 1 | 1 << 3
    cmp eax, 1 << 1 | 1 << 3
    jne .plain
    mov ecx, GUEST_RIP
    vmread [rbx + VcpuRecord_Rip], rcx
    mov ecx, GUEST_PHYSICAL
    vmread rsi, rcx
    add dword [gs:pc.vmcs_accesses], 6          ; these, the reason, vectoring, and RIP at the next entry
    call share_exit
    mov edx, EXIT_EPT_VIOLATION
    cmp eax, 2
    je .plain
    mov ecx, VECTORING
    vmread rdx, rcx
    bt edx, 31
    jnc .by_iret
    mov esi, edx
    and esi, ~(1 << 12)                         ; undefined (28.2.4)
    mov ecx, ENTRY_INTERRUPTION
    vmwrite rcx, rsi
    mov ecx, VECTORING_ERROR
    vmread rsi, rcx
    mov ecx, ENTRY_ERROR
    vmwrite rcx, rsi
    mov ecx, INSTRUCTION_LENGTH                 ; of a software interrupt
    vmread rsi, rcx
    mov ecx, ENTRY_LENGTH
    vmwrite rcx, rsi
    shr edx, 8
    and edx, 7
    cmp edx, 2
    jne .delivered
    mov edx, ~8                                 ; an NMI blocks NMIs when it is delivered
    mov esi, 0
    jmp .blocked
.by_iret:                                       ; the fault was IRET's, which had let NMIs in again (28.2.3)
    bt ebp, 12
    jnc .delivered
    or edx, -1
    mov esi, 8
.blocked:
    mov ecx, GUEST_INTERRUPTIBILITY
    vmread rdi, rcx
    and edi, edx
    or edi, esi
    vmwrite rcx, rdi
.delivered:
    test eax, eax
    jz vmx_run.enter
    jmp vmx_run.look
