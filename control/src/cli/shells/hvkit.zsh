#compdef hvkit
# hvkit's completion for zsh: hvkit completion zsh > "${fpath[1]}/_hvkit"
_hvkit() {
  local line value
  local -a values
  for line in "${(@f)$(hvkit complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      '') ;;
      :files) _files ;;
      *)
        value=${line%%$'\t'*}
        values+=("${value//:/\\:}${${line#$value}/#$'\t'/:}")
        ;;
    esac
  done
  (( $#values )) && _describe hvkit values
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _hvkit "$@"; else compdef _hvkit hvkit; fi
