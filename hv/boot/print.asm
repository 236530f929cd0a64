; Text before there is a driver: polled output on COM1, for boot and for a panic. Lines begin with "hvkit: "; on the line that the
; link shares, text stands between 00h bytes (protocol/link.ts), which the caller puts around it with early_putc.
; No routine needs a stack of more than 64 bytes, memory that can be written, or interrupts.

%include "boot.inc"
bits 64
default rel

global early_init_serial, early_putc, early_puts, early_hex, early_fail, early_stop, serial_setup, serial_setup.end, shutdown_text

section .entry progbits alloc exec nowrite align=16

; COM1: 115200 baud, 8N1, FIFOs on and empty, no interrupts. Bochs starts with 5 data bits.
; Clobbers: nothing.
early_init_serial:
    push rax
    push rdx
    push rsi
    lea rsi, [serial_setup]
.next:
    movzx edx, byte [rsi]
    mov al, [rsi + 1]
    add rsi, 2
    add edx, COM1
    out dx, al
    lea rdx, [serial_setup.end]
    cmp rsi, rdx
    jb .next
    pop rsi
    pop rdx
    pop rax
    ret

; AL -> COM1. Waits until the transmitter has room, but not for ever: a line that is not there must not stop a boot.
; Clobbers: nothing.
early_putc:
    push rax
    push rcx
    push rdx
    mov ecx, 100000
    mov edx, COM1 + 5
.wait:
    in al, dx
    test al, 0x20                               ; LSR.THRE
    loopz .wait
    mov edx, COM1
    mov al, [rsp + 16]
    out dx, al
    pop rdx
    pop rcx
    pop rax
    ret

; RSI -> text that ends with 00h (which is not sent). Clobbers: nothing.
early_puts:
    push rax
    push rsi
.next:
    mov al, [rsi]
    test al, al
    jz .done
    call early_putc
    inc rsi
    jmp .next
.done:
    pop rsi
    pop rax
    ret

; RAX -> 16 hexadecimal digits. Clobbers: nothing.
early_hex:
    push rax
    push rcx
    push rdx
    mov rdx, rax
    mov ecx, 16
.next:
    rol rdx, 4
    mov eax, edx
    and eax, 15
    cmp al, 10
    jb .digit
    add al, "a" - "0" - 10
.digit:
    add al, "0"
    call early_putc
    dec ecx
    jnz .next
    pop rdx
    pop rcx
    pop rax
    ret

; RSI -> the last words before early_stop. Does not return.
early_fail:
    xor eax, eax
    call early_putc
    call early_puts
    call early_putc

; Ends the machine after a failure, as far as it can be ended: QEMU's isa-debug-exit with status 255, Bochs' shutdown port, else it halts.
; Does not return.
early_stop:
    cli
    mov ecx, 1000000
    mov edx, COM1 + 5
.drain:
    in al, dx
    test al, 0x40                               ; LSR.TEMT: the last byte has left
    loopz .drain
    mov al, 0x7F
    out 0xF4, al
    lea rsi, [shutdown_text]
    mov ecx, shutdown_text.end - shutdown_text
    mov edx, 0x8900
    rep outsb
.halt:
    hlt
    jmp .halt

; offset from COM1, value: no interrupts; divisor 1; 8N1; FIFOs on, reset, trigger at 14; DTR and RTS
serial_setup: db 1, 0,  3, 0x80,  0, 1,  1, 0,  3, 3,  2, 0xC7,  4, 3
.end:
shutdown_text: db "Shutdown"
.end:
