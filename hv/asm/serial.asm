; COM1 as the link's wire: receive and transmit rings filled and drained by IRQ 4 through the 8259s. With a script (store.asm) what
; comes in is that, and nothing of the line.
%include "hv.inc"

extern script_next, script_end
global serial_init, serial_interrupt, serial_read, serial_write, serial_room, serial_overruns, core_pending

COM1            equ 0x3F8
RING            equ 16384                       ; a power of two

section .bss
alignb 64
rx:             resb RING
tx:             resb RING
rx_head:        resd 1                          ; free-running
rx_tail:        resd 1
tx_head:        resd 1
tx_tail:        resd 1
serial_overruns: resq 1
core_pending:   resd 1                          ; core has something to do: set by a locked instruction (sched.asm, core_wanted)
serial_lock:    resd 1                          ; who writes to the UART; interrupts are off

section .text

; Both 8259s to vectors 20h-2Fh, only IRQ 4 open; the UART's interrupts on. Line settings and FIFO are hv/boot's already: a FIFO
; reset here would drop bytes in flight (Bochs).
serial_init:
    mov al, 0x11
    out 0x20, al
    out 0xA0, al
    mov al, VEC_PIC
    out 0x21, al
    mov al, VEC_PIC + 8
    out 0xA1, al
    mov al, 4
    out 0x21, al
    mov al, 2
    out 0xA1, al
    mov al, 1
    out 0x21, al
    out 0xA1, al
    mov al, ~(1 << 4) & 0xFF
    out 0x21, al
    mov al, 0xFF
    out 0xA1, al
    mov edx, COM1 + 4
    mov al, 0x0B                                ; DTR RTS OUT2
    out dx, al
    mov edx, COM1 + 1
    mov al, 1                                   ; receive; transmit is added while the ring has bytes
    out dx, al
    ret

; IRQ 4, on the first CPU. Drains the receiver, refills the transmitter's FIFO of 16; core may be at the other end of the rings on
; another CPU.
serial_interrupt:
.again:
    mov edx, COM1 + 5
    in al, dx
    mov r8d, eax
    test al, 2                                  ; overrun
    jz .receive
    inc qword [serial_overruns]
.receive:
    test r8b, 1
    jz .transmit
    mov edx, COM1
    in al, dx
    mov ecx, [rx_head]
    mov edx, ecx
    sub edx, [rx_tail]
    cmp edx, RING
    jae .full
    mov edx, ecx
    and edx, RING - 1
    mov [rx + rdx], al
    inc ecx
    mov [rx_head], ecx
    lock or dword [core_pending], 1
    mov dword [gs:pc.attention], 1
    jmp .again
.full:
    inc qword [serial_overruns]
    jmp .again
.transmit:
    test r8b, 0x20
    jz .eoi
    SPIN_LOCK serial_lock
    mov edx, COM1 + 5
    in al, dx                                   ; core may have filled the FIFO meanwhile
    test al, 0x20
    jz .filled
    call transmit
.filled:
    SPIN_UNLOCK serial_lock
.eoi:
    mov edx, COM1 + 2
    in al, dx                                   ; IIR: while a cause is left the line does not rise again
    test al, 1
    jnz .done
    and al, 0x0E
    cmp al, 2                                   ; THRE with nothing to send was cleared by this very read
    jne .again
    mov eax, [tx_head]
    cmp eax, [tx_tail]
    jne .again
.done:
    mov al, 0x20
    out 0x20, al
    ret

; Up to 16 bytes from the ring to the FIFO, which is empty. The interrupt on THRE is on while the ring has more. Under serial_lock.
; Clobbers: RAX RCX RDX RSI
transmit:
    mov ecx, [tx_tail]
    mov esi, 16
    mov edx, COM1
.byte:
    cmp ecx, [tx_head]
    je .empty
    mov eax, ecx
    and eax, RING - 1
    mov al, [tx + rax]
    out dx, al
    inc ecx
    dec esi
    jnz .byte
    mov [tx_tail], ecx
    mov al, 3
    jmp .enable
.empty:
    mov [tx_tail], ecx
    lock or dword [core_pending], 1             ; all is out: there is room again
    mov dword [gs:pc.attention], 1
    mov al, 1
.enable:
    mov edx, COM1 + 1
    out dx, al
    ret

; In: RDI to (virtual, checked by the caller), ESI max  Out: EAX bytes  Clobbers: RCX RDX
serial_read:
    xor eax, eax
    mov rcx, [script_next]
    test rcx, rcx
    jnz .script
    mov ecx, [rx_tail]
.byte:
    cmp eax, esi
    jae .done
    cmp ecx, [rx_head]
    je .done
    mov edx, ecx
    and edx, RING - 1
    mov dl, [rx + rdx]
    mov [rdi], dl
    inc rdi
    inc ecx
    inc eax
    jmp .byte
.done:
    mov [rx_tail], ecx
    ret
.script:                                        ; a frame at a time: up to the 00h that ends it
    cmp eax, esi
    jae .scripted
    cmp rcx, [script_end]
    jae .scripted
    mov dl, [rcx]
    mov [rdi], dl
    inc rdi
    inc rcx
    inc eax
    lock or dword [core_pending], 1             ; there may be another one
    test dl, dl
    jnz .script
.scripted:
    mov [script_next], rcx
    ret

; In: RSI from (virtual, checked by the caller), EDX bytes  Out: EAX bytes accepted  Clobbers: RCX RDX RSI RDI R8
serial_write:
    pushfq
    cli
    SPIN_LOCK serial_lock
    xor eax, eax
    mov ecx, [tx_head]
.byte:
    cmp eax, edx
    jae .copied
    mov edi, ecx
    sub edi, [tx_tail]
    cmp edi, RING
    jae .copied
    mov edi, ecx
    and edi, RING - 1
    mov r8b, [rsi]
    mov [tx + rdi], r8b
    inc rsi
    inc ecx
    inc eax
    jmp .byte
.copied:
    mov [tx_head], ecx
    push rax
    mov edx, COM1 + 5
    in al, dx
    test al, 0x20
    jnz .idle
    mov al, 3                                   ; the FIFO drains: its interrupt goes on from here
    mov edx, COM1 + 1
    out dx, al
    jmp .started
.idle:
    call transmit
.started:
    SPIN_UNLOCK serial_lock
    pop rax
    popfq
    ret

; Out: EAX free bytes in the transmit ring
serial_room:
    mov eax, [tx_tail]
    add eax, RING
    sub eax, [tx_head]
    ret
