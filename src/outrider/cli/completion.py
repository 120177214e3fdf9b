"""`outrider completion`: the script that teaches a shell to complete our command lines.

The scripts are small: each asks `outrider complete` for what may stand next.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from outrider.cli.app import make_app

if TYPE_CHECKING:
    from cyclopts import App

_BASH: Final = r"""# Completion of outrider for bash. Put this line into ~/.bashrc:
#     source <(outrider completion bash)
_outrider() {
    local line=("${COMP_WORDS[@]:1:COMP_CWORD}")
    # bash breaks words at : and =, as in tag:web and --center=lab; what it shows is the last part.
    local cur="${COMP_WORDS[COMP_CWORD]}"
    if declare -F _get_comp_words_by_ref >/dev/null 2>&1; then
        local words cword
        _get_comp_words_by_ref -n := cur words cword
        line=("${words[@]:1:cword}")
    fi
    local IFS=$'\n'
    COMPREPLY=($("${COMP_WORDS[0]}" complete -- "${line[@]}" 2>/dev/null </dev/null))
    if declare -F __ltrim_colon_completions >/dev/null 2>&1; then
        __ltrim_colon_completions "$cur"
    fi
}
complete -o default -F _outrider outrider
"""

_ZSH: Final = r"""#compdef outrider
# Completion of outrider for zsh. Put this line into ~/.zshrc, after compinit:
#     source <(outrider completion zsh)
_outrider() {
    local -a found
    found=("${(@f)$("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null </dev/null)}")
    if [[ -n "${found[1]}" ]]; then
        compadd -- "${found[@]}"
    else
        _files
    fi
}
compdef _outrider outrider
"""

_FISH: Final = r"""# Completion of outrider for fish. Put this line into ~/.config/fish/config.fish:
#     outrider completion fish | source
function __outrider_complete
    set -l line (commandline --tokenize --cut-at-cursor --current-process)
    set -l begun (commandline --current-token --cut-at-cursor)
    command outrider complete -- $line[2..-1] "$begun" 2>/dev/null </dev/null
end
complete --command outrider --no-files --arguments '(__outrider_complete)'
"""

_SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def command() -> App:
    """Make the command."""
    app = make_app("outrider completion")
    app.default(completion)
    return app


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell that reads it.")], /
) -> None:
    """Print the script that lets a shell complete words, options, centers and names of agents.

    bash: `source <(outrider completion bash)` in ~/.bashrc; zsh: the same in ~/.zshrc; fish: `outrider
    completion fish | source` in config.fish.
    """
    sys.stdout.write(_SCRIPTS[shell])
