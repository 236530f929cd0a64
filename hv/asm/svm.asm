; AMD SVM: the run loop's world switch. vmx.asm mirrors this file, routine by routine; svm_vcpu.asm has a vCPU's making and fields.
;
; The switch, in numbered steps:
;   1. svm_run readies the guest's VMCB
;   2. .enter: nothing pending -> RIP, RAX and general registers from the VcpuRecord, VMLOAD, VMRUN
;   3. svm_exit: VMSAVE, general registers back, the host's VMLOAD before anything that needs TR or GS; a host interrupt is taken and
;      the guest goes on (2)
;   4. else RIP and the exit record are filled and the machine decides; Verdict.Resume goes to 2
; NOT saved here: FPU, debug registers 0-3 (context.asm, when the CPU changes guests).
%include "hv.inc"
%include "switch.inc"
%include "vmcb.inc"

global svm_run, svm_exit
extern share_exit, run_look, run_verdict, run_trapped, svm_next_rip, timer_arm, watch_tsc

section .text

; Runs a guest until its slice ends or it has nothing to do. In: R12 guest block, interrupts off  Clobbers: all
svm_run:
    push qword [gs:pc.host_vcb]
    push qword [r12 + guest.region]             ; where svm_exit finds them while GS is the guest's
    mov [gs:pc.trap_rsp], rsp
    mov rax, .trapped
    mov [gs:pc.trap_rip], rax
.look:
    cli
    stgi
    call run_look
    jc .leave
    ; from here GIF stands for the interrupt flag: the host's interrupts reach the CPU while the guest runs (V_INTR_MASKING takes IF
    ; as it is at VMRUN), and nothing does in between
    clgi
    sti
.enter:
    cmp dword [gs:pc.attention], 0
    jne .look
    mov rbx, [gs:pc.region]
    mov rbp, [r12 + guest.vcb]
    test byte [rbp + INTERCEPT_1], WANT_1_VINTR
    jnz .window
.go:                                            ; RBX region, RBP VMCB; attention was 0
    mov rax, [rbx + VcpuRecord_Rip]
    mov [rbp + VMCB_RIP], rax
    mov rax, [rbx]
    mov [rbp + VMCB_RAX], rax
    mov rax, [r12 + guest.vcb_pa]
    LOAD_GPRS
    vmload
    vmrun
svm_exit:
    vmsave                                      ; RAX is the host's again: the VMCB
    mov rax, [rsp]                              ; GS is still the guest's
    SAVE_GPRS
    mov rbx, rax
    mov rax, [rsp + 8]
    vmload
    mov r12, [gs:pc.guest]
    mov rbp, [r12 + guest.vcb]
    mov rcx, [rbp + VMCB_RAX]
    mov [rbx], rcx
    mov rcx, [rbp + VMCB_RIP]
    mov [rbx + VcpuRecord_Rip], rcx
    mov byte [rbp + TLB_CONTROL], 0
    mov rax, [rbp + EXITCODE]
    lea edx, [rax - EXIT_INTR]                  ; INTR, NMI, SMI, INIT: the host's
    cmp edx, EXIT_INIT - EXIT_INTR
    jbe .host
    mov [rbx + EXIT_FROM_REGION + ExitRecord_Reason], eax
    mov rax, [rbp + VMCB_RFLAGS]
    mov [rbx + EXIT_FROM_REGION + ExitRecord_Rflags], rax
    mov eax, [rbp + INTERRUPT_SHADOW]
    mov [rbx + EXIT_FROM_REGION + ExitRecord_Shadow], eax
    ; for the fetch
    mov rax, [rbp + VMCB_CR3]
    mov [rbx + EXIT_FROM_REGION + ExitRecord_Cr3], rax
    mov rax, [rbp + VMCB_EFER]
    mov [rbx + EXIT_FROM_REGION + ExitRecord_Efer], rax
    movzx eax, word [rbp + VMCB_CS + 2]
    mov [rbx + EXIT_FROM_REGION + ExitRecord_CsAttributes], eax
    mov eax, [rbp + NEXT_RIP]
    sub eax, ecx
    and eax, [svm_next_rip]                     ; 15 where the CPU tells it (for instructions), else 0: the machine decodes
    mov [rbx + EXIT_FROM_REGION + ExitRecord_Length], eax
    cmp edx, EXIT_IOIO - EXIT_INTR              ; unsigned: exceptions too
    jae .information
.machine:
    CALL_MACHINE_EXIT stgi, clgi
    mov edx, eax
    or edx, [gs:pc.attention]
    jz svm_run.go                               ; resume, and nothing has come up
    test eax, eax
    jz svm_run.look
    cli
    stgi
    call run_verdict
    jnc svm_run.look
svm_run.leave:
    add rsp, 16
    ret
svm_run.trapped:                                ; EAX EndReason, RDX value
    mov r12, [gs:pc.guest]
    mov qword [gs:pc.in_machine], 0
    mov dword [r12 + guest.lock], 0
    call run_trapped
    jmp svm_run.leave
svm_exit.information:
    cmp edx, EXIT_NPF - EXIT_INTR
    jae .rare
.plain:
    mov rax, [rbp + EXITINFO1]
    mov [rbx + EXIT_FROM_REGION + ExitRecord_Info1], rax
    mov rax, [rbp + EXITINFO2]
    mov [rbx + EXIT_FROM_REGION + ExitRecord_Info2], rax
    jmp svm_exit.machine
.rare:
    je .nested
    cmp edx, EXIT_MACHINE_CHECK - EXIT_INTR
    jne .plain
    int 18                                      ; the host's
; A write to what is there, and may not be written to (15.25.6): memory that the guest shares. What it interrupted the delivery of is delivered
; again; a software interrupt is executed again, for RIP is still at it.
.nested:
    mov eax, [rbp + EXITINFO1]
    and eax, 3
    cmp eax, 3
    jne .plain
    mov rsi, [rbp + EXITINFO2]
    call share_exit
    mov edx, EXIT_NPF - EXIT_INTR
    mov rcx, [rbp + VMCB_RIP]
    cmp eax, 2
    je .plain
    mov rcx, [rbp + EXITINTINFO]
    bt ecx, 31
    jnc .delivered
    mov edx, ecx
    and edx, 0x7FF
    mov esi, edx
    shr esi, 8
    cmp esi, 4                                  ; INT n
    je .delivered
    sub edx, 0x303                              ; INT3, INTO
    cmp edx, 1
    jbe .delivered
    mov [rbp + EVENTINJ], rcx
.delivered:
    test eax, eax
    jz svm_run.enter
    jmp svm_run.look
; QEMU's VMRUN (7.2, a CPU without NRIPS) does not take the interrupt shadow up again when a host interrupt came in the middle of one: the
; guest's window would open inside of it. So the window stays shut until the next host interrupt, which is asked for soon; an exit delivers
; as always. When that one comes before the guest's first instruction, QEMU has forgotten the shadow: it is set again, eight times at
; most, for it may be a loop of one instruction.
svm_run.window:
    or byte [rbp + V_INTR + 1], 1               ; V_IRQ
    cmp dword [svm_next_rip], 0
    jne svm_run.go
    cmp dword [rbp + INTERRUPT_SHADOW], 0
    je svm_run.go
    and byte [rbp + V_INTR + 1], ~1
    RDTSC64
    mov rdi, [watch_tsc]
    shr rdi, 6                                  ; 10 ms / 64
    add rdi, rax
    call timer_arm
    jmp svm_run.go
svm_exit.host:
    cmp dword [svm_next_rip], 0
    jne .take
    mov eax, 8
    cmp dword [rbp + INTERRUPT_SHADOW], 0
    jne .shadow
    cmp rcx, [rbp + SHADOW_RIP]
    jne .take
    mov eax, [rbp + SHADOW_TRIES]
    dec eax
    js .take
    mov byte [rbp + INTERRUPT_SHADOW], 1
.shadow:
    mov [rbp + SHADOW_RIP], rcx
    mov [rbp + SHADOW_TRIES], eax
.take:
    stgi                                        ; the interrupt or NMI is taken here
    nop
    clgi
    jmp svm_run.enter
