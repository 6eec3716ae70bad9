"""The shortest sequence that still fails, as far as dropping commands finds it."""


def shrink(commands, fails, tries=300):
    """`fails(commands)`: the position of the failure, or None."""
    position = fails(commands)
    if position is None:
        return commands  # It does not fail every time.
    commands = commands[:position + 1]
    size = max(1, len(commands) // 2)
    while size:
        begin = 0
        while begin < len(commands) - 1 and tries:
            fewer = commands[:begin] + commands[begin + size:]
            tries -= 1
            position = fails(fewer)
            if position is None:
                begin += size
            else:
                commands = fewer[:position + 1]
        size //= 2
    return commands
