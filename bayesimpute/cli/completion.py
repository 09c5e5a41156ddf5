"""``bayesimpute completion``: words for the shell's tab key, taken from the parser."""

import argparse
import re
from collections.abc import Mapping

SCRIPT = """\
# eval "$(bayesimpute completion)" in ~/.bashrc; in ~/.zshrc after
# autoload -U compinit bashcompinit && compinit && bashcompinit
_bayesimpute() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}"
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{commands}" -- "$current"))
        return
    fi
    case "$current" in
        -*) ;;
        *) COMPREPLY=($(compgen -f -- "$current")); return ;;
    esac
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
}}
complete -o filenames -F _bayesimpute bayesimpute
"""


def completion(commands: Mapping[str, argparse.ArgumentParser]) -> str:
    """Script for bash and zsh, from the options of each command."""
    cases = []
    for name, parser in commands.items():
        words = dict.fromkeys(re.findall(r"(?<![\w-])--[a-z-]+", parser.format_usage()))
        cases.append(
            f'        {name}) COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$current")) ;;'
        )
    return SCRIPT.format(commands=" ".join(commands), cases="\n".join(cases))
