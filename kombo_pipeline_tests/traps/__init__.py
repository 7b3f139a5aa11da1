"""One test or more for each of the 54 traps of Kombo's API, named after its number.

Every test goes through the front door: a sandbox and the receiver over HTTP, a real Postgres. What is left out:

| trap               | left out                             | because                                               |
| ------------------ | ------------------------------------ | ----------------------------------------------------- |
| 14 27 28 30 32-35  | what the official SDK does           | it is not our client; ours is put in the same place   |
| 20                 | 3 hours become 24                    | that is Kombo's schedule; no deletion is guessed      |
| 24                 | a relink keeps the integration id    | happens at Kombo and changes nothing for us           |
| 39                 | DeprecationWarning of SDK attributes | we read JSON; which field decides is tested           |
| 41                 | sanitising foreign HTML              | done where it is shown; the warehouse keeps it as is  |
| 25 (`ATS.*` codes) | errors of the write side             | nothing is ever written to an ATS                     |
"""
