"""peers: other people's mail servers, for tests and measurements; see README.md."""

from .courier import Courier
from .cyrus import Cyrus
from .dovecot import Dovecot
from .exim import Exim
from .mailutils import Mailutils
from .opensmtpd import OpenSmtpd
from .packages import Trouble
from .peer import Account, free_ports, why_not
from .popa3d import Popa3d
from .postfix import Postfix

RIVALS = {kind.name: kind for kind in (Dovecot, Courier, Cyrus, Mailutils, Popa3d)}
MTAS = {kind.name: kind for kind in (Postfix, Exim, OpenSmtpd)}
PEERS = {**RIVALS, **MTAS}
