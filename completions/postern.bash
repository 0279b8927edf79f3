# Completion of postern's commands and options for bash. It asks the program itself (--help), so it
# never offers what that one does not have.

_postern_help() {
	"$@" --help 2>/dev/null
}

# The words of the table of commands in a help text.
_postern_commands() {
	sed -n '/^commands:$/,/^$/s/^  \([a-z][a-z-]*\).*/\1/p'
}

_postern_options() {
	sed -n 's/^  \(--[a-z0-9-]*\)\( .*\|\)$/\1/p'
}

# What an option takes, as the help text calls it.
_postern_argument() {
	sed -n "s/^  $1 \([A-Z][^ ]*\).*/\1/p"
}

_postern() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local -a command=("${COMP_WORDS[0]}")
	local help at word
	COMPREPLY=()
	case $previous in
	--root)
		mapfile -t COMPREPLY < <(compgen -d -- "$current")
		return
		;;
	esac
	help=$(_postern_help "${command[@]}")
	for ((at = 1; at < COMP_CWORD; at++)); do
		word=${COMP_WORDS[at]}
		if [ "$word" = --root ]; then
			at=$((at + 1))
		elif _postern_commands <<<"$help" | grep -qxF -e "$word"; then
			command+=("$word")
			help=$(_postern_help "${command[@]}")
		fi
	done
	if [[ $previous == --* ]]; then
		case $(_postern_argument "$previous" <<<"$help") in
		'') ;;
		*FILE* | *DIR* | *PATH* | TARGET)
			mapfile -t COMPREPLY < <(compgen -f -- "$current")
			return
			;;
		*)
			return
			;;
		esac
	fi
	if [[ $current == -* ]]; then
		word=$(_postern_options <<<"$help")
		[ ${#command[@]} -gt 1 ] || word="--root --version"
		mapfile -t COMPREPLY < <(compgen -W "$word --help" -- "$current")
		return
	fi
	word=$(_postern_commands <<<"$help")
	if [ -n "$word" ]; then
		mapfile -t COMPREPLY < <(compgen -W "$word" -- "$current")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
	fi
}

complete -o filenames -F _postern postern
