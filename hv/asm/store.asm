; The store disk: the slave of the primary ATA channel, by PIO (ATA-6, LBA28). Bochs' way for bulk: the control plane writes the
; disk's file, the hypervisor reads it into guest RAM, and the other way round.
%include "hv.inc"

global store_init, store_sectors, store_read, store_write

ATA             equ 0x1F0
STATUS          equ 0x1F7
CONTROL         equ 0x3F6
SLAVE           equ 0xF0                        ; with LBA

section .bss
alignb 8
store_sectors:  resq 1                          ; 0: no disk

section .text

; IDENTIFY DEVICE, then the signature in the last sector. Clobbers: RAX RCX RDX RDI R8 R9
store_init:
    mov edx, CONTROL
    mov al, 2                                   ; nIEN: polled
    out dx, al
    mov edx, ATA + 6
    mov al, SLAVE
    out dx, al
    mov edx, STATUS
    in al, dx
    cmp al, 0xFF                                ; a floating bus
    je .none
    test al, al
    jz .none
    xor eax, eax
    mov edx, ATA + 2
    out dx, al
    inc edx
    out dx, al
    inc edx
    out dx, al
    inc edx
    out dx, al
    mov edx, STATUS
    mov al, 0xEC
    out dx, al
    in al, dx
    test al, al
    jz .none
    call wait_data
    jc .none
    sub rsp, 512
    mov rdi, rsp
    mov ecx, 128
    mov edx, ATA
    rep insd
    mov r8d, [rsp + 120]                        ; words 60-61: LBA28 sectors
    sub r8, 1
    jc .other
    mov rdi, rsp
    mov r9d, 1
    call store_read
    test eax, eax
    jnz .other
    cmp dword [rsp], StoreDisk_Signature0
    jne .other
    cmp dword [rsp + 4], StoreDisk_Signature1
    jne .other
    mov [store_sectors], r8
.other:
    add rsp, 512
.none:
    ret

; Out: CF=0 data; CF=1, EAX status | error << 8  Clobbers: RCX RDX
wait_data:
    mov ecx, 5000000
    mov edx, STATUS
.wait:
    in al, dx
    test al, 0x80                               ; BSY
    jnz .again
    test al, 0x21                               ; DF, ERR
    jnz .failed
    test al, 8                                  ; DRQ
    jnz .ready
.again:
    dec ecx
    jnz .wait
.failed:
    movzx ecx, al
    mov edx, ATA + 1
    in al, dx
    movzx eax, al
    shl eax, 8
    or eax, ecx
    or eax, 1                                   ; never 0, a time-out neither
    stc
    ret
.ready:
    clc
    ret

; In: R8 sector, R9D count (1..128), AL command  Clobbers: RAX RDX
command:
    push rax
    mov edx, ATA + 2
    mov eax, r9d
    out dx, al
    mov rax, r8
    inc edx
    out dx, al
    shr rax, 8
    inc edx
    out dx, al
    shr rax, 8
    inc edx
    out dx, al
    shr rax, 8
    and al, 15
    or al, SLAVE
    inc edx
    out dx, al
    pop rax
    inc edx
    out dx, al
    mov edx, CONTROL                            ; 400 ns until the status counts
    in al, dx
    in al, dx
    in al, dx
    in al, dx
    ret

; In: RDI to (virtual), R8 sector, R9D count  Out: EAX 0, or status | error << 8  Clobbers: RCX RDX RDI R9
store_read:
    mov al, 0x20
    call command
.sector:
    call wait_data
    jc .failed
    mov ecx, 128
    mov edx, ATA
    rep insd
    dec r9d
    jnz .sector
    xor eax, eax
.failed:
    ret

; In: RSI from (virtual), R8 sector, R9D count  Out: EAX 0, or status | error << 8  Clobbers: RCX RDX RSI R9
store_write:
    mov al, 0x30
    call command
.sector:
    call wait_data
    jc .failed
    mov ecx, 128
    mov edx, ATA
    rep outsd
    dec r9d
    jnz .sector
    mov ecx, 5000000
    mov edx, STATUS
.flush:
    in al, dx
    test al, 0x80
    loopnz .flush
    xor ecx, ecx
    and eax, 0x21
    jz .failed
    or eax, 1
.failed:
    ret
