package quorum

import rego.v1

# The votes that count.
counted := [vote |
	some vote in input.votes
	some group in data.groups
	group in vote.voter.groups
]

rejections := [words(vote) |
	some vote in counted
	vote.choice == "reject"
]

words(vote) := concat("", ["rejected by ", vote.voter.id]) if vote.comment == ""

words(vote) := concat("", ["rejected by ", vote.voter.id, ": ", vote.comment]) if vote.comment != ""

# Who approves for the group at this place of the list.
approvers(place) := {vote.voter.id |
	some vote in counted
	data.groups[place] in vote.voter.groups
}

first := approvers(0)

second := approvers(1)

answer := {"outcome": "deny", "why": rejections[0]} if {
	count(rejections) > 0
} else := {"outcome": "approve"} if {
	count(first) > 0
	count(second) > 0

	# Two different people: one in both groups is not enough.
	count(first | second) > 1
} else := {"outcome": "wait", "missing": missing} if {
	count(counted) > 0
} else := {"outcome": "wait", "missing": [[data.groups[0], data.groups[1]]]}

missing := [[data.groups[0]]] if {
	count(first) == 0
} else := [[data.groups[1]]] if {
	count(second) == 0
} else := [[data.groups[1]], [data.groups[0]]]
