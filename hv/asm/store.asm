; The store disk: the slave of the primary ATA channel, by PIO (ATA-6, LBA28). Bochs' way for bulk: the control plane writes the
; disk's file, the hypervisor reads it into guest RAM, and the other way round. Or multiboot's first module, when it has the form of
; one: it can be read only. A script at its beginning is what the line would have brought (serial.asm): the line is output only then.
%include "hv.inc"

global store_init, store_sectors, store_read, store_write, script_next, script_end
extern boot_module

ATA             equ 0x1F0
STATUS          equ 0x1F7
CONTROL         equ 0x3F6
SLAVE           equ 0xF0                        ; with LBA

section .bss
alignb 8
store_sectors:  resq 1                          ; 0: no disk
store_module:   resq 1                          ; virtual; 0: it is a disk
script_next:    resq 1                          ; 0: there is no script
script_end:     resq 1
script:         resb StoreDisk_ScriptSectors * 512

section .text

; The signature in the last sector of the module, or of what IDENTIFY DEVICE finds; then the script. Clobbers: RAX RCX RDX RDI R8 R9
store_init:
    mov rax, [boot_module]
    test rax, rax
    jz .disk
    mov r8, [boot_module + 8]
    sub r8, rax
    TO_VIRTUAL rax
    mov [store_module], rax
    shr r8, 9
    sub rsp, 512
    jmp .last
.disk:
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
.last:
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
    mov r9d, StoreDisk_ScriptSectors
    cmp r8, r9
    jb .other
    mov rdi, script
    xor r8d, r8d
    call store_read
    test eax, eax
    jnz .other
    mov rcx, script
    cmp dword [rcx], StoreDisk_Script
    jne .other
    mov eax, [rcx + 4]
    cmp eax, StoreDisk_ScriptSectors * 512 - 8
    ja .other
    add rcx, 8
    mov [script_next], rcx
    add rcx, rax
    mov [script_end], rcx
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
    mov rcx, [store_module]
    test rcx, rcx
    jnz .module
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
.module:
    push rsi
    mov rsi, r8
    shl rsi, 9
    add rsi, rcx
    mov ecx, r9d
    shl ecx, 6
    rep movsq
    pop rsi
    xor eax, eax
    ret

; In: RSI from (virtual), R8 sector, R9D count  Out: EAX 0, or status | error << 8  Clobbers: RCX RDX RSI R9
store_write:
    mov eax, 1                                  ; a module is never written to
    cmp qword [store_module], 0
    jne .failed
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
