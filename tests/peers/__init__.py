"""peers: other people's mail servers, for tests and measurements; see README.md."""

from .dovecot import Dovecot
from .postfix import Postfix
from .packages import Trouble
from .peer import Account, why_not

RIVALS = {kind.name: kind for kind in (Dovecot,)}
MTAS = {kind.name: kind for kind in (Postfix,)}
PEERS = {**RIVALS, **MTAS}
