; Core's imports (hv/core/host.ts). RDI is core's own capability and is not used: there is one core. Core decides, this file
; refuses: slots, frames, ranges of its linear memory and of guests' RAM are checked here, so that a bug in core stays one.
%include "hv.inc"

global core_init, core_poll, core_memory, core_bytes
extern Z_core_instantiate, Z_coreZ_init, Z_coreZ_poll, wasm_place_memory, wasm_place_table, early_alloc
extern boot_vendor, tsc_khz, tsc_base, ns_of_tsc, ready_tsc, store_sectors, host_xcr0, idle_tsc, serial_overruns, frame_count, frame_table, core_deadline
extern clock_ns, tsc_from_ns, crc32c, serial_read, serial_write, serial_room, frame_scrub, block_count, store_read, store_write
extern guest_table, guest_high, guest_new, guest_pool, guest_ram, guest_init, guest_boot, guest_free, guest_end, window_entry
extern field_read, core_pending, build_identity, build_identity_bytes, svm_next_rip, power_off, core_instance_memory, core_instance_bytes, panic

INSTANCE_MAX    equ 1024
CORE_PAGES      equ 16                          ; Wasm pages mapped for core

%macro IMPORT 1
    global Z_hostZ_ %+ %1
Z_hostZ_ %+ %1:
%endmacro

section .bss
alignb 8
core_memory:    resq 1                          ; base of core's linear memory
core_bytes:     resq 1
core_lock:      resd 1
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

; In: EDI idle  Out: EAX 1 when there is work left for an idle CPU
core_poll:
    lock bts dword [core_lock], 0
    jnc .locked
    pause
    jmp core_poll
.locked:
    mov esi, edi
    mov rdi, core_instance
    call Z_coreZ_poll
    mov dword [core_lock], 0
    ret

; --- checks ---------------------------------------------------------------------------------------------------------------

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

%macro GUEST 1                                  ; R12 = guest block (R12 saved on the stack), or leaves with %1
    call guest_of
    jc %1
    push r12
    mov r12, rax
%endmacro
%macro DONE 0
    pop r12
    ret
%endmacro

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

; A range of a guest's RAM. In: R12 guest block, RSI address, RDX bytes  Out: CF=1 outside; RSI address as the host sees it
ram_range:
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

; --- facts, time, wire --------------------------------------------------------------------------------------------------

IMPORT fact                                     ; ESI HostFact
    cmp esi, HostFact_PoolFrames
    ja refused
    jmp [facts + rsi * 8]
.vendor:
    mov eax, [boot_vendor]
    ret
.cpus:
    mov eax, 1
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
.idle_ns:
    mov rax, [idle_tsc]
    mul qword [ns_of_tsc]
    shrd rax, rdx, 32
    ret
.overruns:
    mov rax, [serial_overruns]
    ret
.pool:
    mov eax, POOL_BASE
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
    mov eax, r8d
    pop rbx
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

; --- guests -------------------------------------------------------------------------------------------------------------

IMPORT guestNew                                 ; ESI slot, EDX frame
    call guest_of
    jnc refused
    cmp esi, GuestLimit_Slots
    jae refused
    mov edi, esi
    mov esi, edx
    jmp guest_new

IMPORT guestPool                                ; ESI slot, EDX frame
    GUEST refused
    mov esi, edx
    call guest_pool
    DONE

IMPORT guestRam                                 ; ESI slot, EDX block, RCX address
    GUEST refused
    mov esi, edx
    mov rdx, rcx
    call guest_ram
    DONE

IMPORT guestInit                                ; ESI slot, RDX wall seconds
    GUEST refused
    call guest_init
    DONE

IMPORT guestBoot                                ; ESI slot, EDX kind, RCX block, R8D bytes
    call guest_of
    jc .none
    push r12
    mov r12, rax
    mov esi, edx
    mov rdx, rcx
    mov ecx, r8d
    call guest_boot
    DONE
.none:
    mov eax, Status_NoSuchGuest
    ret

IMPORT guestRun                                 ; ESI slot
    GUEST refused
    xor eax, eax
    cmp dword [r12 + guest.state], RunState_Ended
    je .done
    cmp dword [r12 + guest.paused], 0
    jne .unpause
    cmp dword [r12 + guest.state], RunState_Created
    jne .done
    cmp qword [r12 + guest.instance_ptr], 0
    je .done
    mov dword [r12 + guest.state], RunState_Runnable
    jmp .ok
.unpause:
    mov dword [r12 + guest.paused], 0
.ok:
    mov dword [r12 + guest.changed], 1
    mov eax, 1
.done:
    DONE

IMPORT guestPause                               ; ESI slot
    GUEST refused
    xor eax, eax
    cmp dword [r12 + guest.paused], 0
    jne .done
    mov ecx, [r12 + guest.state]
    sub ecx, RunState_Runnable
    cmp ecx, RunState_Halted - RunState_Runnable
    ja .done
    mov dword [r12 + guest.paused], 1
    mov dword [r12 + guest.changed], 1
    mov eax, 1
.done:
    DONE

IMPORT guestKill                                ; ESI slot
    GUEST refused
    xor eax, eax
    cmp dword [r12 + guest.state], RunState_Ended
    je .done
    mov eax, EndReason_Killed
    xor edx, edx
    call guest_end
    mov eax, 1
.done:
    DONE

IMPORT guestFree                                ; ESI slot
    GUEST refused
    xor eax, eax
    mov ecx, [r12 + guest.state]
    cmp ecx, RunState_Created
    je .free
    cmp ecx, RunState_Ended
    jne .done
.free:
    call guest_free
    mov eax, 1
.done:
    DONE

IMPORT guestNmi                                 ; ESI slot
    GUEST refused
    xor eax, eax
    mov ecx, [r12 + guest.state]
    sub ecx, RunState_Runnable
    cmp ecx, RunState_Halted - RunState_Runnable
    ja .done
    or dword [r12 + guest.events], EventBit_Nmi
    mov eax, 1
.done:
    DONE

IMPORT guestState                               ; ESI slot
    GUEST refused                               ; RunState.Empty
    mov eax, [r12 + guest.state]
    cmp dword [r12 + guest.paused], 0
    je .done
    cmp eax, RunState_Ended
    je .done
    mov eax, RunState_Paused
.done:
    DONE

IMPORT guestReason                              ; ESI slot
    GUEST refused
    xor eax, eax
    cmp dword [r12 + guest.state], RunState_Ended
    jne .done
    mov eax, [r12 + guest.reason]
.done:
    DONE

IMPORT guestValue                               ; ESI slot
    GUEST refused
    mov rax, [r12 + guest.value]
    DONE

IMPORT guestRegister                            ; ESI slot, EDX field
    GUEST refused
    xor eax, eax
    cmp qword [r12 + guest.instance_ptr], 0
    je .done
    cmp edx, Register_Count
    jae .done
    mov rdi, r12
    mov esi, edx
    call field_read
.done:
    DONE

IMPORT guestStat                                ; ESI slot, EDX GuestStatReply
    GUEST refused
    xor eax, eax
    cmp edx, GuestStatReply_Words
    jae .done
    jmp [stats + rdx * 8]
.exits:
    xor ecx, ecx
.sum:
    add rax, [r12 + guest.exits + rcx * 8]
    inc ecx
    cmp ecx, ExitReason_Count
    jb .sum
    jmp .done
.run:
    mov rax, [r12 + guest.run_tsc]
    jmp .to_ns
.halt:
    mov rax, [r12 + guest.halt_tsc]
.to_ns:
    mul qword [ns_of_tsc]
    shrd rax, rdx, 32
    jmp .done
.halt_tsc:
    mov rax, [r12 + guest.halt_tsc]
    jmp .done
.vmcs:
    mov rax, [r12 + guest.vmcs_accesses]
    jmp .done
.injected:
    mov rax, [r12 + guest.injected]
    jmp .done
.first:
    mov rax, [r12 + guest.tsc0]
    jmp .done
.overhead:
    mov eax, [r12 + guest.pool_count]
    inc eax
    shl eax, 12
    mov ecx, eax
    call .tables
    sub ecx, eax
    mov eax, ecx
    jmp .done
.nested:
    call .tables
    jmp .done
.faults:
    mov rax, [r12 + guest.exits + ExitReason_NestedFault * 8]
    jmp .done
.done:
    DONE
; EAX = bytes of nested tables: two roots and a page directory each started GiB
.tables:
    mov rax, [r12 + guest.ram_bytes]
    add rax, (1 << 30) - 1
    shr rax, 30
    add eax, 2
    shl eax, 12
    ret

IMPORT guestExits                               ; ESI slot, EDX ExitReason
    GUEST refused
    xor eax, eax
    cmp edx, ExitReason_Count
    jae .done
    mov rax, [r12 + guest.exits + rdx * 8]
.done:
    DONE

IMPORT guestChanged                             ; ESI from
.next:
    cmp esi, [guest_high]
    jae .none
    mov eax, esi
    mov rax, [guest_table + rax * 8]
    test rax, rax
    jz .skip
    cmp dword [rax + guest.changed], 0
    jne .found
    mov ecx, [rax + guest.out_head]
    cmp ecx, [rax + guest.out_tail]
    jne .found
    mov ecx, [rax + guest.out_head + 4]
    cmp ecx, [rax + guest.out_tail + 4]
    jne .found
.skip:
    inc esi
    jmp .next
.found:
    mov dword [rax + guest.changed], 0
    mov eax, esi
    ret
.none:
    mov eax, -1
    ret

; --- guests' RAM --------------------------------------------------------------------------------------------------------

IMPORT guestRead                                ; ESI slot, RDX address, ECX to, R8D bytes
    GUEST refused
    mov rsi, rdx
    mov edx, r8d
    call core_range
    jc .no
    call ram_range
    jc .no
    mov rdi, rcx
.copy:                                          ; by quadwords: digests and images go this way
    mov ecx, edx
    shr ecx, 3
    rep movsq
    mov ecx, edx
    and ecx, 7
    rep movsb
    mov eax, 1
    DONE
.no:
    xor eax, eax
    DONE

IMPORT guestWrite                               ; ESI slot, RDX address, ECX from, R8D bytes
    GUEST refused
    mov rsi, rdx
    mov edx, r8d
    call core_range
    jc Z_hostZ_guestRead.no
    call ram_range
    jc Z_hostZ_guestRead.no
    mov rdi, rsi
    mov rsi, rcx
    jmp Z_hostZ_guestRead.copy

; one lane of XXH64: lane = rol(lane + word * P2, 31) * P1 (xxHash specification 0.1.1)
%macro LANE 2                                   ; lane, offset; RDX = P1, RBX = P2
    mov rax, [rsi + %2]
    imul rax, rbx
    add %1, rax
    rol %1, 31
    imul %1, rdx
%endmacro

IMPORT guestStripes                             ; ESI slot, RDX address, ECX stripes, R8D lanes
    GUEST refused
    mov r9d, ecx
    mov rsi, rdx
    mov edx, ecx
    shl rdx, 5
    call ram_range
    jc Z_hostZ_guestRead.no
    mov ecx, r8d
    mov edx, 32
    call core_range
    jc Z_hostZ_guestRead.no
    push rbx
    mov rdx, 0x9E3779B185EBCA87
    mov rbx, 0xC2B2AE3D27D4EB4F
    mov rdi, [rcx]
    mov r8, [rcx + 8]
    mov r10, [rcx + 16]
    mov r11, [rcx + 24]
    test r9d, r9d
    jz .none
.stripe:
    LANE rdi, 0
    LANE r8, 8
    LANE r10, 16
    LANE r11, 24
    add rsi, 32
    dec r9d
    jnz .stripe
.none:
    mov [rcx], rdi
    mov [rcx + 8], r8
    mov [rcx + 16], r10
    mov [rcx + 24], r11
    pop rbx
    mov eax, 1
    DONE

IMPORT storeRead                                ; RSI sector, EDX count, ECX slot, R8 address
    mov rdi, store_read
    jmp store
IMPORT storeWrite                               ; RSI sector, EDX count, ECX slot, R8 address
    mov rdi, store_write
store:
    push r12
    push r13
    mov r13, rdi
    mov r9d, edx
    lea eax, [rdx - 1]
    cmp eax, 128
    jae .refused
    mov eax, r9d
    add rax, rsi
    jc .refused
    cmp rax, [store_sectors]
    ja .refused
    mov r10, rsi
    mov esi, ecx
    call guest_of
    jc .refused
    mov r12, rax
    mov rsi, r8
    mov edx, r9d
    shl edx, 9
    call ram_range
    jc .refused
    mov rdi, rsi                                ; store_read takes RDI, store_write RSI
    mov r8, r10
    call r13
    pop r13
    pop r12
    ret
.refused:
    mov eax, -1
    pop r13
    pop r12
    ret

; --- consoles -----------------------------------------------------------------------------------------------------------

IMPORT consoleTake                              ; ESI slot, EDX port, ECX to, R8D max
    GUEST refused
    cmp edx, 1
    ja .none
    cmp qword [r12 + guest.instance_ptr], 0
    je .none
    mov esi, edx
    mov edx, r8d
    call core_range
    jc .none
    mov rdi, rcx
    mov r9d, OUT_RING
    mov ecx, esi
    shr r9d, cl
    dec r9d
    xor eax, eax
    mov ecx, [r12 + guest.out_tail + rsi * 4]
    mov r10, [r12 + guest.out + rsi * 8]
.byte:
    cmp eax, edx
    jae .taken
    cmp ecx, [r12 + guest.out_head + rsi * 4]
    je .taken
    mov r11d, ecx
    and r11d, r9d
    mov r11b, [r10 + r11]
    mov [rdi], r11b
    inc rdi
    inc ecx
    inc eax
    jmp .byte
.taken:
    mov [r12 + guest.out_tail + rsi * 4], ecx
    test eax, eax
    jz .done
    cmp dword [r12 + guest.out_full + rsi * 4], 0
    je .done
    mov dword [r12 + guest.out_full + rsi * 4], 0
    or dword [r12 + guest.events], EventBit_ConsoleRoom
.done:
    DONE
.none:
    xor eax, eax
    DONE

IMPORT consoleGive                              ; ESI slot, EDX port, ECX from, R8D bytes
    GUEST refused
    cmp edx, 1
    ja .none
    cmp qword [r12 + guest.instance_ptr], 0
    je .none
    mov esi, edx
    mov edx, r8d
    call core_range
    jc .none
    xor eax, eax
    mov r9d, [r12 + guest.in_head + rsi * 4]
    mov r10, [r12 + guest.in + rsi * 8]
.byte:
    cmp eax, edx
    jae .given
    mov r11d, r9d
    sub r11d, [r12 + guest.in_tail + rsi * 4]
    cmp r11d, IN_RING
    jae .given
    mov r11d, r9d
    and r11d, IN_RING - 1
    mov r8b, [rcx]
    mov [r10 + r11], r8b
    inc rcx
    inc r9d
    inc eax
    jmp .byte
.given:
    mov [r12 + guest.in_head + rsi * 4], r9d
    test eax, eax
    jz .done
    or dword [r12 + guest.events], EventBit_ConsoleInput
.done:
    DONE
.none:
    xor eax, eax
    DONE

IMPORT consoleLost                              ; ESI slot, EDX port
    GUEST refused
    xor eax, eax
    cmp edx, 1
    ja .done
    xchg eax, [r12 + guest.lost + rdx * 4]
.done:
    DONE

section .rodata
memory_large: db "core wants more memory than is mapped for it", 0
instance_large: db "core's instance does not fit", 0
align 8
facts:
    dq Z_hostZ_fact.vendor, Z_hostZ_fact.cpus, Z_hostZ_fact.tsc_khz, Z_hostZ_fact.ready_tsc, Z_hostZ_fact.store_sectors
    dq Z_hostZ_fact.features, Z_hostZ_fact.frames, Z_hostZ_fact.epoch, Z_hostZ_fact.tsc, Z_hostZ_fact.idle_ns, Z_hostZ_fact.overruns
    dq Z_hostZ_fact.pool
stats:
    dq Z_hostZ_guestStat.exits, Z_hostZ_guestStat.run, Z_hostZ_guestStat.halt, Z_hostZ_guestStat.vmcs, Z_hostZ_guestStat.injected
    dq Z_hostZ_guestStat.first, Z_hostZ_guestStat.overhead, Z_hostZ_guestStat.nested, Z_hostZ_guestStat.faults, Z_hostZ_guestStat.halt_tsc
    dq Z_hostZ_guestStat.done
