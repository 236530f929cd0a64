; The agent's constants and memory.

RANDOM: db "/dev/random", 0
DEVICE: db "/dev/ttyS1", 0
FOLDERS: db "/bin/", 0, "/sbin/", 0, "/usr/bin/", 0, "/usr/sbin/", 0, 0

align 8
BLOCKED: dq (1 << (SIGCHLD - 1)) | (1 << (SIGPIPE - 1))
CHILD_SIGNAL: dq 1 << (SIGCHLD - 1)
DEFAULT_ACTION: times 32 db 0             ; SIG_DFL; as a set of signals, none
TERMIOS: dd 0, 0, LINE_MODE, 0            ; c_iflag, c_oflag, c_cflag, c_lflag: raw
  db 0                                    ; c_line
  db 0, 0, 0, 0, 0, 0, 1                  ; c_cc: VMIN is 1
  times 12 db 0
THEIRS: dd pipes, pipes + 12, pipes + 20

image_end:

section .bss
alignb 8
clock: resq 2                             ; seconds, nanoseconds
folder: resq 1
abandoned: resq ABANDONED                 ; sessions
lineIn: resd 1
lineOut: resd 1
signals: resd 1
waited: resd 1
abandonedNext: resd 1
lineCount: resd 1
payloadBytes: resd 1
SPAWN_ERROR: resd 1                       ; the child's word to us
word0: resd 1                             ; a payload of one word or two
word1: resd 1
randomFile: resd 1
generation: resq 1                        ; Ready's payload
pipes: resd 6                             ; of stdin, stdout, stderr: the end to read from, the end to write to
alignb 8
polls: resb (2 + 3 * AgentLimit_Sessions) * PollFd_size
path: resb NAME_BYTES + 16
alignb 8
arguments: resq AgentLimit_Strings + 1
environment: resq AgentLimit_Strings + 1
chunk: resb CHUNK
arrived: resb CHUNK
line: resb LINE_BYTES
taken: resb LINE_BYTES
made: resb FRAME_BYTES
coded: resb LINE_BYTES
alignb 8
sessions: resb AgentLimit_Sessions * Session_size
memory_end:
