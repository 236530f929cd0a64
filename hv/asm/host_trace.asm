; Core's imports for watching a guest's exits: trace.asm does the work.
%include "hv.inc"
%include "host.inc"

extern core_hold, trace_set, trace_count, trace_place

section .text

IMPORT guestTrace                               ; ESI slot, EDX TraceMode bits, ECX frame
    HOLD refused
    call trace_set
    DONE

IMPORT guestTraced                              ; ESI slot, RDX number of the record, ECX to
    HOLD refused
    push rbx
    mov rdi, rdx
    call .count
    mov rbx, rax
    cmp rdi, rax
    jae .done
    sub rax, rdi
    cmp rax, TraceRing_Records
    ja .done
    push rdi
    mov edx, TraceRecord_End
    call core_range
    pop rdx
    jc .done
    mov rdi, rcx
    call trace_place
.done:
    mov rax, rbx
    pop rbx
    DONE
.count:                                         ; keeps RCX
    push rcx
    call trace_count
    pop rcx
    ret
