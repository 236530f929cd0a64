; The machine's imports (hv/machine/guest.ts). RDI is the guest block: the instance pointer that wasm2c passes, and so the
; capability; nothing here takes another guest's name. Every argument is hostile; the upper half of a register that carries a u32
; is not even defined (System V ABI), so what becomes an index is extended first.
%include "hv.inc"

global guest_clock, ticks_of_ns
extern boot_vendor, tsc_khz, ns_of_tsc, tsc_of_ns, field_read, field_write, core_pending, flush_deadline, memmove, memset, script_next

%macro IMPORT 1
    global Z_guestZ_ %+ %1
Z_guestZ_ %+ %1:
%endmacro

section .text

IMPORT vendor
    mov eax, [boot_vendor]
    ret

IMPORT clock
    RDTSC64
    ; fall through

; A guest's clock. In: RDI guest block, RAX TSC  Out: RAX nanoseconds  Clobbers: RCX RDX
guest_clock:
    mov rcx, [rdi + guest.tsc0]
    sub rax, rcx
    jns .passed
    xor eax, eax                                ; it began on a CPU whose TSC is a little ahead
.passed:
    test rcx, rcx
    jnz .started
    mov rax, [rdi + guest.clock_start]
.started:
    mul qword [ns_of_tsc]
    shrd rax, rdx, 32
    ret

; ESI.. RSI nanoseconds of clock(); rounded up, so that clock() has reached it when the TSC has
IMPORT timer
    mov dword [gs:pc.attention], 1
    mov rax, rsi
    cmp rax, -1
    je .set
    call ticks_of_ns
    jc .never
    add rax, [rdi + guest.tsc0]
    jo .never
    jns .set                                    ; a restored guest's clock may be older than this CPU's TSC
    xor eax, eax
.set:
    mov [rdi + guest.deadline], rax
    ret
.never:
    mov qword [rdi + guest.deadline], -1
    ret

; Rounded up, so that ticks that are made nanoseconds again are no fewer. In: RAX  Out: RAX; CF=1 too far off  Clobbers: RDX
ticks_of_ns:
    mul qword [tsc_of_ns]
    shrd rax, rdx, 32
    shr rdx, 31
    neg rdx                                     ; CF: it was not 0
    lea rax, [rax + 2]
    ret

IMPORT tscKhz
    mov eax, [rdi + guest.tsc_khz]
    ret

; With a script (store.asm) the guests shall find nothing that a second run would not: no RDRAND (1 ECX bit 30), no RDSEED (7 EBX bit 18).
IMPORT cpuidAB
    push rbx
    mov eax, esi
    mov ecx, edx
    cpuid
    shl rbx, 32
    or rax, rbx
    pop rbx
    cmp esi, 7
    jne .done
    cmp qword [script_next], 0
    je .done
    btr rax, 32 + 18
.done:
    ret

IMPORT cpuidCD
    push rbx
    mov eax, esi
    mov ecx, edx
    cpuid
    mov eax, ecx
    shl rdx, 32
    or rax, rdx
    pop rbx
    cmp esi, 1
    jne .done
    cmp qword [script_next], 0
    je .done
    btr rax, 30
.done:
    ret

IMPORT ramSize
    mov rax, [rdi + guest.ram_bytes]
    ret

; RAX = address as the host sees it, or jumps to the refusal. RAM is at least 2 MiB, so the subtraction does not wrap.
%macro RAM 2                                    ; width, refusal
    mov rax, [rdi + guest.ram_bytes]
    sub rax, %1
    cmp rsi, rax
    ja %2
    mov rax, [rdi + guest.ram]
%endmacro

IMPORT ramLoad8
    RAM 1, ones8
    movzx eax, byte [rax + rsi]
    ret
IMPORT ramLoad16
    RAM 2, ones16
    movzx eax, word [rax + rsi]
    ret
IMPORT ramLoad32
    RAM 4, ones
    mov eax, [rax + rsi]
    ret
IMPORT ramLoad64
    RAM 8, ones
    mov rax, [rax + rsi]
    ret
ones8:
    mov eax, 0xFF
    ret
ones16:
    mov eax, 0xFFFF
    ret
ones:
    mov rax, -1
    ret
IMPORT ramStore8
    RAM 1, dropped
    mov [rax + rsi], dl
dropped:
    ret
IMPORT ramStore16
    RAM 2, dropped
    mov [rax + rsi], dx
    ret
IMPORT ramStore32
    RAM 4, dropped
    mov [rax + rsi], edx
    ret
IMPORT ramStore64
    RAM 8, dropped
    mov [rax + rsi], rdx
    ret

; ESI.. RSI address, RDX bytes: EQ when wholly inside. In: RAX address, RDX bytes  Clobbers: RCX
inside:
    mov rcx, [rdi + guest.ram_bytes]
    cmp rdx, rcx
    ja .no
    sub rcx, rdx
    cmp rax, rcx
    ja .no
    cmp eax, eax
.no:
    ret

IMPORT ramMove                                  ; RSI to, RDX from, RCX bytes
    mov r8, rdx
    mov rdx, rcx
    mov rax, rsi
    call inside
    jne refused
    mov rax, r8
    call inside
    jne refused
    mov rax, [rdi + guest.ram]
    lea rdi, [rax + rsi]
    lea rsi, [rax + r8]
    call memmove
    mov eax, 1
    ret

IMPORT ramFill                                  ; RSI to, EDX byte, RCX bytes
    mov r8d, edx
    mov rdx, rcx
    mov rax, rsi
    call inside
    jne refused
    add rsi, [rdi + guest.ram]
    mov rdi, rsi
    mov esi, r8d
    call memset
    mov eax, 1
    ret
refused:
    xor eax, eax
    ret

IMPORT read                                     ; ESI field
    mov esi, esi
    jmp field_read

IMPORT write                                    ; ESI field, RDX value
    mov esi, esi
    jmp field_write

; --- console rings: free-running indices; the size of port 0's output ring is OUT_RING, port 1's OUT_RING2 --------------

%macro OUT_SIZE 2                               ; register, port register
    mov %1, OUT_RING
    mov ecx, %2
    shr %1, cl                                  ; OUT_RING2 is half
%endmacro

IMPORT consolePut                               ; ESI port, EDX byte
    mov esi, esi
    cmp esi, 1
    ja refused
    OUT_SIZE r8d, esi
.again:
    mov eax, [rdi + guest.out_head + rsi * 4]
    mov r9d, eax
    sub r9d, [rdi + guest.out_tail + rsi * 4]
    cmp r9d, r8d
    jae .full
    dec r8d
    mov r10d, eax
    and r10d, r8d
    add r10, [rdi + guest.out + rsi * 8]
    mov [r10], dl
    lea r10d, [rax + 1]
    xchg r10d, [rdi + guest.out_head + rsi * 4] ; before a second look: core may have emptied the ring meanwhile
    sub eax, [rdi + guest.out_tail + rsi * 4]
    jle .first
    shr r8d, 1
    cmp eax, r8d                                ; half full: core shall look at once
    ja .now
    mov eax, 1
    ret
.first:                                         ; the ring was empty: core looks in 2 ms, for a frame that is worth sending
    mov dword [rdi + guest.changed], 1
    imul r8, [tsc_khz], 2
    RDTSC64
    add rax, r8
    cmp rax, [flush_deadline]
    jae .later
    xchg [flush_deadline], rax
    mov dword [gs:pc.attention], 1
.later:
    mov eax, 1
    ret
.now:
    lock or dword [core_pending], 1
    mov dword [gs:pc.attention], 1
    mov eax, 1
    ret
.full:
    mov r10d, 1
    xchg r10d, [rdi + guest.out_full + rsi * 4] ; before a second look: core may have made room, and seen nobody who wants it
    sub eax, [rdi + guest.out_tail + rsi * 4]
    cmp eax, r8d
    jb .again
    lock inc dword [rdi + guest.lost + rsi * 4]
    xor eax, eax
    ret

IMPORT consoleRoom                              ; ESI port
    mov esi, esi
    cmp esi, 1
    ja refused
    OUT_SIZE r8d, esi
    mov eax, r8d
    add eax, [rdi + guest.out_tail + rsi * 4]
    sub eax, [rdi + guest.out_head + rsi * 4]
    jnz .room
    inc eax
    xchg eax, [rdi + guest.out_full + rsi * 4]  ; before a second look, as above
    mov eax, r8d
    add eax, [rdi + guest.out_tail + rsi * 4]
    sub eax, [rdi + guest.out_head + rsi * 4]
.room:
    ret

IMPORT consoleGet                               ; ESI port
    mov esi, esi
    cmp esi, 1
    ja .none
    mov ecx, [rdi + guest.in_tail + rsi * 4]
    cmp ecx, [rdi + guest.in_head + rsi * 4]
    je .none
    mov eax, ecx
    and eax, IN_RING - 1
    add rax, [rdi + guest.in + rsi * 8]
    movzx eax, byte [rax]
    inc ecx
    mov [rdi + guest.in_tail + rsi * 4], ecx
    ret
.none:
    mov eax, -1
    ret

IMPORT count                                    ; ESI ExitReason
    mov esi, esi
    cmp esi, ExitReason_Count
    jae .unknown
    inc qword [rdi + guest.exits + rsi * 8]
    inc qword [gs:pc.exits]
.unknown:
    ret

IMPORT end                                      ; ESI EndReason, RDX value: the first counts
    cmp dword [rdi + guest.reason], 0
    jne .had
    mov [rdi + guest.reason], esi
    mov [rdi + guest.value], rdx
.had:
    ret
