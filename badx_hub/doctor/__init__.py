"""What is wrong or in the way on this machine, and mending it: leftovers, stopped runs, caches, versions, space.

Looking changes nothing. What mends is part of each finding (`Finding.mend`) and looks again before it acts: files of a
process that is alive, of another user, or that were written to within a day are never touched.
"""

from badx_hub.doctor.examination import Examination as Examination
from badx_hub.doctor.examination import examine as examine
from badx_hub.doctor.finding import Finding as Finding
from badx_hub.doctor.finding import FindingKind as FindingKind
