; Core and its imports (hv/core/host.ts): instance, checks, facts, time, wire, frames; host_*.asm have the rest. Core decides, these files
; refuse: slots, frames, ranges of its linear memory and of guests' RAM are checked, so that a bug in core stays one.
%define HOST_CHECKS
%include "hv.inc"
%include "host.inc"

global core_init, core_poll
extern Z_core_instantiate, Z_coreZ_init, Z_coreZ_poll, wasm_place_memory, wasm_place_table, early_alloc
extern core_hold, share_range, reserve_count, reserve_give, reserve_back, boot_vendor, tsc_khz, tsc_base, script_next, ns_of_tsc, ready_tsc, store_sectors, host_xcr0, guest_cpus, cpu_pages, serial_overruns, frame_count, frame_table, core_deadline
extern tsc_scaling, clock_ns, tsc_from_ns, crc32c, serial_read, serial_write, serial_room, frame_scrub, block_count, guest_table, window_entry, build_identity, build_identity_bytes, svm_next_rip, power_off, core_instance_memory, core_instance_bytes, panic

INSTANCE_MAX    equ 1024
CORE_PAGES      equ 16                          ; Wasm pages mapped for core

section .bss
alignb 8
core_memory:    resq 1                          ; base of core's linear memory
core_bytes:     resq 1
alignb 16
core_instance:  resb INSTANCE_MAX

section .text

; Core's memory, its instance, its init. Before frames_init closes early allocation for the memory, after for the rest.
global core_map
core_map:
    push rbx
    push r12
    mov edi, CORE_SLOT
    call window_entry
    mov r12, rax
    call early_alloc                            ; page directory
    mov rbx, rax
    or rax, PTE_P | PTE_W
    mov [r12], rax
    TO_VIRTUAL rbx
    call early_alloc                            ; page table: 1 MiB of it
    mov r12, rax
    or rax, PTE_P | PTE_W
    mov [rbx], rax
    TO_VIRTUAL r12
    mov ebx, CORE_PAGES * 16
.page:
    call early_alloc
    or rax, PTE_P | PTE_W
    bts rax, 63
    mov [r12], rax
    add r12, 8
    dec ebx
    jnz .page
    mov rax, WINDOWS + (CORE_SLOT << WINDOW_SHIFT)
    mov [core_memory], rax
    pop r12
    pop rbx
    ret

core_init:
    cmp dword [core_instance_bytes], INSTANCE_MAX
    mov rdi, instance_large
    mov esi, 0
    ja panic
    mov rax, [core_memory]
    mov [wasm_place_memory], rax
    mov qword [wasm_place_table], 0
    mov rdi, core_instance
    mov rsi, core_instance
    call Z_core_instantiate
    mov eax, [core_instance_memory]
    mov eax, [core_instance + rax + 16]         ; wasm_rt_memory_t.size
    cmp eax, CORE_PAGES << 16
    mov rdi, memory_large
    mov esi, 0
    ja panic
    mov [core_bytes], rax
    mov rdi, core_instance
    jmp Z_coreZ_init

; In: EDI idle, core's lock held (sched.asm)  Out: EAX 1 when there is work left for an idle CPU
core_poll:
    mov esi, edi
    mov rdi, core_instance
    jmp Z_coreZ_poll

; --- checks ---------------------------------------------------------------------------------------------------------------

global refused, guest_of, core_range, ram_range, ram_range_own

refused:
    xor eax, eax
    ret

; A slot in use. In: ESI slot  Out: CF=1 no such guest; RAX guest block
guest_of:
    cmp esi, GuestLimit_Slots
    jae .none
    mov eax, esi
    mov rax, [guest_table + rax * 8]
    cmp rax, 1                                  ; CF when 0
    ret
.none:
    stc
    ret


; A range of core's memory. In: ECX offset, EDX bytes  Out: CF=1 outside; RCX address
core_range:
    mov ecx, ecx
    mov edx, edx
    lea rax, [rcx + rdx]
    cmp [core_bytes], rax
    jb .no
    add rcx, [core_memory]
    clc
.no:
    ret

; A range of a guest's RAM. One whose frames may move stands, until core is done with its piece of work.
; In: R12 guest block, RSI address, RDX bytes  Out: CF=1 outside; RSI address as the host sees it  Clobbers: RAX
ram_range:
    cmp dword [r12 + guest.sharing], 0
    je .stands
    call core_hold
.stands:
    mov rax, [r12 + guest.ram_bytes]
    cmp rax, rdx
    jb .no
    sub rax, rdx
    cmp rax, rsi
    jb .no
    add rsi, [r12 + guest.ram]
    clc
.no:
    ret

; The same, and nothing of it is shared afterwards. Out: CF=1 outside, or no frame is left for it
ram_range_own:
    call ram_range
    jc .no
    cmp dword [r12 + guest.sharing], 0
    je .no                                      ; CF is clear
    sub rsi, [r12 + guest.ram]
    call share_range
    jc .no
    add rsi, [r12 + guest.ram]
    clc
.no:
    ret

; --- facts, time, wire --------------------------------------------------------------------------------------------------

IMPORT fact                                     ; ESI HostFact
    mov esi, esi
    cmp esi, HostFact_Reserve
    ja refused
    jmp [facts + rsi * 8]
.vendor:
    mov eax, [boot_vendor]
    ret
.cpus:
    mov eax, [guest_cpus]
    ret
.tsc_khz:
    mov rax, [tsc_khz]
    ret
.ready_tsc:
    mov rax, [ready_tsc]
    ret
.store_sectors:
    mov rax, [store_sectors]
    ret
.frames:
    mov rax, [frame_count]
    ret
.epoch:
    mov eax, [tsc_base]
    ret
.tsc:
    RDTSC64
    ret
.idle_ns:                                       ; of all CPUs together that run guests
    xor edi, edi
    mov r10d, [guest_cpus]
.idle_cpu:
    bsf esi, r10d
    jz .idle_all
    btr r10d, esi
    call cpu_idle_tsc
    add rdi, rax
    jmp .idle_cpu
.idle_all:
    mov rax, rdi
.to_ns:
    mul qword [ns_of_tsc]
    shrd rax, rdx, 32
    ret
.overruns:
    mov rax, [serial_overruns]
    ret
.pool:
    mov eax, POOL_BASE
    ret
.scripted:
    mov rax, [script_next]
    ret
.clone_frames:
    mov eax, POOL_CLONE
    ret
.reserve:
    mov eax, [reserve_count]
    ret
.features:
    push rbx
    xor r8d, r8d
    test dword [svm_next_rip], -1
    jz .no_nrip
    or r8d, Feature_NextRip
.no_nrip:
    mov eax, 1
    cpuid
    test ecx, 1 << 26
    jz .no_xsave
    or r8d, Feature_Xsave
.no_xsave:
    bt ecx, 31
    jnc .no_hypervisor
    or r8d, Feature_UnderHypervisor
.no_hypervisor:
    test dword [host_xcr0], 4
    jz .no_avx
    or r8d, Feature_Avx
.no_avx:
    cmp dword [tsc_scaling], 0
    je .no_scaling
    or r8d, Feature_TscScaling
.no_scaling:
    mov eax, r8d
    pop rbx
    ret

; TSC ticks that a CPU was halted, until now. In: ESI CPU  Out: RAX  Clobbers: RCX RDX R8 R9
cpu_idle_tsc:
    mov ecx, esi
    shl ecx, CPU_SHIFT
    add rcx, cpu_pages
.look:
    mov r8d, [rcx + pc.idle_turn]
    mov r9, [rcx + pc.halted_at]
    xor eax, eax
    test r9, r9
    jz .awake
    RDTSC64
    sub rax, r9
    jae .awake
    xor eax, eax                                ; that CPU's TSC is a little ahead
.awake:
    add rax, [rcx + pc.idle_tsc]
    cmp r8d, [rcx + pc.idle_turn]
    jne .look
    test r8b, 1
    jnz .look
    ret

IMPORT cpuStat                                  ; ESI CPU, EDX CpuStatWord
    mov esi, esi
    cmp esi, HostLimit_Cpus
    jae refused
    cmp edx, CpuStatWord_Words
    jae refused
    cmp edx, CpuStatWord_Guest
    ja .count
    je .guest
    call cpu_idle_tsc
    jmp Z_hostZ_fact.to_ns
.count:
    shl esi, CPU_SHIFT
    mov rax, [cpu_pages + rsi + pc.run_tsc + (rdx - CpuStatWord_RunNs) * 8]
    cmp edx, CpuStatWord_RunNs
    je Z_hostZ_fact.to_ns
    ret
.guest:                                         ; its block is gone only after the CPU has let it go, which core alone asks for
    shl esi, CPU_SHIFT
    mov rcx, [cpu_pages + rsi + pc.guest]
    xor eax, eax
    test rcx, rcx
    jz .none
    mov eax, [rcx + guest.slot]
    inc eax
.none:
    ret

IMPORT clock
    jmp clock_ns

IMPORT timer                                    ; RSI deadline
    mov rax, rsi
    call tsc_from_ns
    mov [core_deadline], rax
    mov dword [gs:pc.attention], 1
    ret

IMPORT crc32c                                   ; ESI from, EDX bytes
    mov ecx, esi
    call core_range
    jc refused
    mov rsi, rcx
    jmp crc32c

IMPORT identity                                 ; ESI to, EDX max
    mov ecx, esi
    call core_range
    jc refused
    mov eax, [build_identity_bytes]
    cmp eax, edx
    cmova eax, edx
    mov rdi, rcx
    mov ecx, eax
    mov rsi, build_identity
    rep movsb
    ret

IMPORT shutdown
    jmp power_off

IMPORT serialRead                               ; ESI to, EDX max
    mov ecx, esi
    call core_range
    jc refused
    mov rdi, rcx
    mov esi, edx
    jmp serial_read

IMPORT serialWrite                              ; ESI from, EDX bytes
    mov ecx, esi
    call core_range
    jc refused
    mov rsi, rcx
    jmp serial_write

IMPORT serialRoom
    jmp serial_room

; --- frames -------------------------------------------------------------------------------------------------------------

IMPORT frame                                    ; ESI frame
    mov eax, esi
    cmp rax, [frame_count]
    jae refused
    mov rcx, [frame_table]
    mov rax, [rcx + rax * 8]
    ret

IMPORT blockCount                               ; ESI block, EDX FrameState
    mov edi, esi
    mov esi, edx
    jmp block_count

IMPORT frameScrub                               ; ESI frame, EDX count
    mov edi, esi
    mov esi, edx
    jmp frame_scrub

IMPORT reserveGive                              ; ESI frame
    mov edi, esi
    jmp reserve_give

IMPORT reserveBack
    jmp reserve_back

section .rodata
memory_large: db "core wants more memory than is mapped for it", 0
instance_large: db "core's instance does not fit", 0
align 8
facts:
    dq Z_hostZ_fact.vendor, Z_hostZ_fact.cpus, Z_hostZ_fact.tsc_khz, Z_hostZ_fact.ready_tsc, Z_hostZ_fact.store_sectors
    dq Z_hostZ_fact.features, Z_hostZ_fact.frames, Z_hostZ_fact.epoch, Z_hostZ_fact.tsc, Z_hostZ_fact.idle_ns, Z_hostZ_fact.overruns
    dq Z_hostZ_fact.pool, Z_hostZ_fact.scripted, Z_hostZ_fact.clone_frames, Z_hostZ_fact.reserve
