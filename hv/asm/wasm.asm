; The runtime that wasm2c's generated C needs (wasm-rt.h), and the way out of a machine that traps.
; Everything here fails closed: memories do not grow, tables are as large as the page they were given.
%include "hv.inc"

global wasm_rt_trap, wasm_rt_register_func_type, wasm_rt_allocate_memory, wasm_rt_grow_memory, wasm_rt_free_memory
global wasm_rt_allocate_funcref_table, wasm_rt_free_funcref_table, wasm_rt_grow_funcref_table, wasm_rt_is_initialized
global memcpy, memmove, memset, memcmp
global wasm_place_memory, wasm_place_table, machine_trapped, machine_call

section .bss
alignb 8
wasm_place_memory: resq 1                       ; where the next memory lies: Layout_End or more bytes are mapped there
wasm_place_table: resq 1                        ; a zeroed page for the next table
func_types: resd 1

section .rodata
align 4
; wasm_rt_trap_t -> EndReason
trap_reasons:
    dd EndReason_TrapUnreachable, EndReason_TrapOutOfBounds, EndReason_TrapIntegerOverflow, EndReason_TrapDivideByZero
    dd EndReason_TrapInvalidConversion, EndReason_TrapUnreachable, EndReason_TrapCallIndirect, EndReason_TrapUnreachable
    dd EndReason_TrapStackExhausted

section .text

; A trap that generated code found itself. In: EDI wasm_rt_trap_t
wasm_rt_trap:
    cmp qword [gs:pc.in_machine], 0
    je .core
    cmp edi, 8
    jbe .known
    xor edi, edi
.known:
    mov eax, [trap_reasons + rdi * 4]
    mov rdx, [rsp]                              ; the value: where in the module
    jmp machine_trapped
.core:
    int VEC_CORE_TRAP                           ; a panic, with the registers as they are

; Leaves the machine that runs on this CPU: its frames are dropped, machine_call or the run loop goes on with the reason.
; In: EAX EndReason, RDX value; any stack. Interrupts are off afterwards.
machine_trapped:
    cli
    cld
    mov rsp, [gs:pc.trap_rsp]
    jmp [gs:pc.trap_rip]

; Calls into a machine from outside of the run loop, holding its lock.
; In: RDI guest block, RAX function, RSI RDX RCX arguments after the instance; EBX budget of timer interrupts
; Out: CF=0, RAX result; or CF=1, EAX EndReason, RDX value. Keeps callee-saved registers. IF as it was.
machine_call:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    pushfq
    push qword [gs:pc.trap_rsp]
    push qword [gs:pc.trap_rip]
    push qword [gs:pc.in_machine]
    push rdi
    sub rsp, 8
    mov [gs:pc.trap_rsp], rsp
    lea r12, [.trapped]
    mov [gs:pc.trap_rip], r12
    mov r12, rdi
    mov r13, rax
    mov r14, rsi
    mov r15, rdx
    mov rbp, rcx
    mov [gs:pc.budget], ebx
.lock:
    lock bts dword [r12 + guest.lock], 0
    jnc .locked
    pause
    jmp .lock
.locked:
    call timer_watch
    inc qword [gs:pc.sequence]
    mov [gs:pc.in_machine], r12
    sti
    mov rdi, [r12 + guest.instance_ptr]
    mov rsi, r14
    mov rdx, r15
    mov rcx, rbp
    call r13
    cli
    xor ecx, ecx
.out:
    add rsp, 8
    pop rdi
    pop qword [gs:pc.in_machine]
    pop qword [gs:pc.trap_rip]
    pop qword [gs:pc.trap_rsp]
    mov dword [rdi + guest.lock], 0
    mov dword [gs:pc.budget], 5
    mov [gs:pc.scratch], rax
    popfq
    mov rax, [gs:pc.scratch]
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    bt ecx, 0
    ret
.trapped:
    mov ecx, 1
    jmp .out

extern timer_watch

; In: EDI parameters, ESI results, then the types. A number of its own for each call: types within a module differ
; (asc emits each signature once), and modules never share a table.
wasm_rt_register_func_type:
    mov eax, 1
    lock xadd [func_types], eax
    inc eax
    ret

; In: RDI wasm_rt_memory_t {data, pages u32, max_pages u32, size u32}, ESI initial pages, EDX maximum
wasm_rt_allocate_memory:
    mov rax, [wasm_place_memory]
    mov [rdi], rax
    mov [rdi + 8], esi
    mov [rdi + 12], edx
    shl esi, 16
    mov [rdi + 16], esi
    ret

wasm_rt_grow_memory:
wasm_rt_grow_funcref_table:
    mov eax, -1
wasm_rt_free_memory:
wasm_rt_free_funcref_table:
    ret

; In: RDI wasm_rt_funcref_table_t {data, max_size u32, size u32}, ESI elements, EDX maximum
wasm_rt_allocate_funcref_table:
    cmp esi, PAGE / 24
    ja .refused
    mov rax, [wasm_place_table]
    test rax, rax
    jz .refused
    mov [rdi], rax
    mov [rdi + 8], esi
    mov [rdi + 12], esi
    ret
.refused:
    mov edi, 8
    jmp wasm_rt_trap

wasm_rt_is_initialized:
    mov eax, 1
    ret

; --- what gcc may call by itself: the C library's, by quadwords (each iteration of a REP is a tick in Bochs) -----------

; In: RDI to, RSI from, RDX bytes  Out: RAX to
memmove:
    mov rax, rdi
    sub rax, rsi
    cmp rax, rdx                                ; unsigned: RDI inside [RSI, RSI + RDX) copies backwards
    jb copy_backwards
memcpy:
    mov rax, rdi
    mov rcx, rdx
    shr rcx, 3
    rep movsq
    mov ecx, edx
    and ecx, 7
    rep movsb
    ret

copy_backwards:
    mov rax, rdi
    test rdx, rdx
    jz .done
    std
    lea rdi, [rdi + rdx - 1]
    lea rsi, [rsi + rdx - 1]
    mov ecx, edx
    and ecx, 7
    rep movsb
    sub rdi, 7
    sub rsi, 7
    mov rcx, rdx
    shr rcx, 3
    rep movsq
    cld
.done:
    ret

; In: RDI to, ESI byte, RDX bytes  Out: RAX to
memset:
    mov r8, rdi
    movzx eax, sil
    mov rcx, 0x0101010101010101
    imul rax, rcx
    mov rcx, rdx
    shr rcx, 3
    rep stosq
    mov ecx, edx
    and ecx, 7
    rep stosb
    mov rax, r8
    ret

; In: RDI, RSI, RDX bytes  Out: EAX <0, 0, >0
memcmp:
    mov rcx, rdx
    xor eax, eax
    cmp eax, eax
    repe cmpsb
    je .same
    movzx eax, byte [rdi - 1]
    movzx ecx, byte [rsi - 1]
    sub eax, ecx
.same:
    ret
