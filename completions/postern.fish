# Completion of postern's commands and options for fish. It asks the program itself (--help), so it
# never offers what that one does not have.

# The command as far as it is typed, without options.
function __postern_command
    set -l words (commandline -opc)
    set -l command $words[1]
    set -e words[1]
    set -l help ($command --help 2>/dev/null)
    while set -q words[1]
        if test "$words[1]" = --root
            set -e words[1]
        else if printf '%s\n' $help | sed -n '/^commands:$/,/^$/p' | grep -q "^  $words[1] "
            set -a command $words[1]
            set help ($command --help 2>/dev/null)
        end
        set -e words[1]
    end
    printf '%s\n' $command
end

function __postern_words
    set -l command (__postern_command)
    $command --help 2>/dev/null | sed -n '/^commands:$/,/^$/s/^  \([a-z-]*\)  *\(.*\)/\1\t\2/p'
end

function __postern_options
    set -l command (__postern_command)
    $command --help 2>/dev/null | sed -n 's/^  \(--[a-z0-9-]*\)\( [A-Z][^ ]*\|\) *\(.*\)$/\1\t\3/p'
    printf '%s\t%s\n' --help explain
    if test (count $command) -eq 1
        printf '%s\t%s\n' --root 'folder of the instance' --version 'print the version'
    end
end

complete -c postern -a '(__postern_words)'
complete -c postern -n 'string match -q -- "-*" (commandline -ct)' -a '(__postern_options)'
