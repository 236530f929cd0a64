; The last words: registers, the exit record and raw return addresses on the serial line, by polling, then the CPU stops.
; The control plane finds the lines by their prefix and puts names to the addresses from hv.elf.
%include "hv.inc"

global panic
extern __text_start, __text_end, cpus_stop, cpus_stopped

section .bss
alignb 4
panicking:      resd 1

section .text

; In: RDI what (zero-terminated), RSI frame of traps.asm or 0. Never returns. The first CPU that comes here speaks; to stop the others it
; sends them an NMI, with which they come here too.
panic:
    cli
    lock bts dword [panicking], 0
    jc .stopped
    call cpus_stop
    mov rbp, rsp
    mov r14, rdi
    mov r15, rsi
    xor eax, eax
    call putc                                   ; ends a frame that was under way
    mov rsi, head
    call puts
    mov rsi, r14
    call puts
    call newline
    test r15, r15
    jz .no_frame
    mov rbx, registers
    mov r12d, 22
    xor r13d, r13d
.register:
    test r13d, 3
    jnz .same_line
    mov rsi, prefix
    call puts
.same_line:
    mov rsi, rbx
    call puts
    mov al, '='
    call putc
    mov rax, [r15 + r13 * 8]
    call hex
    mov al, ' '
    call putc
.skip_name:
    inc rbx
    cmp byte [rbx - 1], 0
    jne .skip_name
    inc r13d
    test r13d, 3
    jnz .next
    call newline
.next:
    dec r12d
    jnz .register
    call newline
    mov rsi, cr2_name
    call puts
    mov rax, cr2
    call hex
    mov rsi, cr3_name
    call puts
    mov rax, cr3
    call hex
    call newline
.no_frame:
    mov rsi, exit_name
    call puts
    mov rbx, [gs:pc.guest]
    test rbx, rbx
    jz .no_exit
    mov rbx, [rbx + guest.region]
    sub rbx, Layout_Region - Layout_Exit
    mov eax, [rbx + ExitRecord_Reason]
    call hex
    mov rsi, exit_rip
    call puts
    mov rax, [rbx + Layout_Region - Layout_Exit + VcpuRecord_Rip]
    call hex
    mov rsi, exit_slot
    call puts
    mov rax, [gs:pc.guest]
    mov eax, [rax + guest.slot]
    call hex
    jmp .exit_done
.no_exit:
    mov rsi, exit_none
    call puts
.exit_done:
    mov rsi, exit_cpu
    call puts
    mov eax, [gs:pc.index]
    call hex
    call newline

    ; every stack word that points into the text, at most 24 of them: frame pointers are not kept
    mov rbx, rbp
    mov r12d, 24
    test r15, r15
    jz .scan
    mov rax, [r15 + 17 * 8]                     ; RIP of the frame is the first
    call return_line
    mov rbx, [r15 + 20 * 8]                     ; and its RSP where to look on
.scan:
    mov r13d, 1024
    mov rcx, STACKS
    mov rdx, rbx
    sub rdx, rcx
    shr rdx, 32
    jnz .end                                    ; not one of our stacks: nothing to trust
.word:
    mov rdx, rbx
    and edx, BLOCK - 1
    cmp edx, PAGE + STACK_BYTES - 8
    ja .end
    cmp edx, PAGE
    jb .end
    mov rax, [rbx]
    add rbx, 8
    cmp rax, __text_start
    jb .no
    cmp rax, __text_end
    jae .no
    call return_line
    dec r12d
    jz .end
.no:
    dec r13d
    jnz .word
.end:
    mov rsi, tail
    call puts
    xor eax, eax
    call putc
    jmp .stop
.stopped:
    mov eax, [gs:pc.index]
    lock bts [cpus_stopped], eax
.stop:
    cli
    hlt
    jmp .stop

; In: RAX address
return_line:
    mov rsi, return_name
    call puts
    call hex
    ; fall through
newline:
    mov rsi, crlf
; In: RSI zero-terminated text. Keeps RAX.
puts:
    push rax
.next:
    lodsb
    test al, al
    jz .done
    call putc
    jmp .next
.done:
    pop rax
    ret

; In: RAX. Sixteen digits. Clobbers RCX RDX RDI
hex:
    mov rdi, rax
    mov ecx, 16
.digit:
    rol rdi, 4
    mov eax, edi
    and eax, 15
    cmp eax, 10
    jb .low
    add eax, 'a' - '0' - 10
.low:
    add eax, '0'
    push rcx
    call putc
    pop rcx
    loop .digit
    ret

; In: AL. Bounded wait: a dead line must not keep the panic from its end. Clobbers RCX RDX
putc:
    push rax
    mov ecx, 1000000
    mov edx, 0x3FD
.wait:
    in al, dx
    test al, 0x20
    jnz .ready
    loop .wait
.ready:
    pop rax
    mov edx, 0x3F8
    out dx, al
    ret

section .rodata
head:       db "hvkit: panic: ", 0
prefix:     db "hvkit: ", 0
tail:       db "hvkit: panic end", 13, 10, 0
crlf:       db 13, 10, 0
return_name: db "hvkit: return 0x", 0
exit_name:  db "hvkit: exit reason=", 0
exit_none:  db "none", 0
exit_rip:   db " rip=", 0
exit_slot:  db " slot=", 0
exit_cpu:   db " cpu=", 0
cr2_name:   db "hvkit: cr2=", 0
cr3_name:   db " cr3=", 0
registers:  db "r15", 0, "r14", 0, "r13", 0, "r12", 0, "r11", 0, "r10", 0, "r9", 0, "r8", 0, "rdi", 0, "rsi", 0, "rbp", 0, "rbx", 0, "rdx", 0, \
               "rcx", 0, "rax", 0, "vector", 0, "error", 0, "rip", 0, "cs", 0, "rflags", 0, "rsp", 0, "ss", 0
