# hvkit's completion for fish: hvkit completion fish > ~/.config/fish/completions/hvkit.fish
function __hvkit_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (hvkit complete -- $words[2..-1] 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c hvkit -f -a '(__hvkit_complete)'
