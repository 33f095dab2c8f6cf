"""What supervisord makes of configuration files: one line of JSON for each path on standard input."""
import json
import os
import shlex
import sys
from supervisor.options import ServerOptions
from supervisor.datatypes import Automatic, RestartUnconditionally, RestartWhenExitUnexpected


def raw(text):
    """Each byte as one character."""
    return os.fsencode(text).decode("latin1") if isinstance(text, str) else text


def log(config, stream):
    get = lambda name: getattr(config, stream + "_" + name)
    file = get("logfile")
    return {
        "file": "AUTO" if file is Automatic else raw(file),
        "maxBytes": get("logfile_maxbytes"),
        "backups": get("logfile_backups"),
        "syslog": get("syslog"),
    }


def process(group, config):
    restart = {RestartUnconditionally: "always", RestartWhenExitUnexpected: "unexpected"}
    try:
        command = [raw(word) for word in shlex.split(config.command)]
    except ValueError:
        return None
    return {
        "group": raw(group.name),
        "name": raw(config.name),
        "command": command,
        "directory": raw(config.directory),
        "umask": config.umask and config.umask & 0o7777,
        "uid": config.uid,
        "environment": {raw(k): raw(v) for k, v in config.environment.items()},
        "autostart": config.autostart,
        "autorestart": restart.get(config.autorestart, "never"),
        "exitCodes": config.exitcodes,
        "startSeconds": config.startsecs,
        "startRetries": config.startretries,
        "stopSignal": int(config.stopsignal),
        "stopSeconds": config.stopwaitsecs,
        "stopAsGroup": config.stopasgroup,
        "killAsGroup": config.killasgroup,
        "redirectStderr": config.redirect_stderr,
        "stdout": log(config, "stdout"),
        "stderr": log(config, "stderr"),
    }


def understood(path):
    options = ServerOptions()
    options.stderr = options.stdout = open(os.devnull, "w")
    try:
        options.realize(["-c", path])
    except SystemExit:
        return None
    except Exception:
        return None
    found = [process(g, c) for g in options.process_group_configs for c in g.process_configs]
    return None if None in found or [] in [p and p["command"] for p in found] else found


for line in sys.stdin:
    print(json.dumps(understood(line.rstrip("\n"))), flush=True)
