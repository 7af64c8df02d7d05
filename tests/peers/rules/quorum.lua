local function is_in(person, group)
  for _, mine in ipairs(person.groups) do
    if mine == group then return true end
  end
  return false
end

return function(groups, input)
  local first, second, either = 0, 0, 0
  for _, vote in ipairs(input.votes) do
    local in_first, in_second = is_in(vote.voter, groups[1]), is_in(vote.voter, groups[2])
    if in_first or in_second then
      if vote.choice == "reject" then
        local why = vote.comment == "" and "" or ": " .. vote.comment
        return { outcome = "deny", why = "rejected by " .. vote.voter.id .. why }
      end
      either = either + 1
      if in_first then first = first + 1 end
      if in_second then second = second + 1 end
    end
  end
  -- Two different people: one in both groups is not enough.
  if first > 0 and second > 0 and either > 1 then
    return { outcome = "approve" }
  end
  if either == 0 then
    return { outcome = "wait", missing = { groups } }
  end
  local missing = {}
  if first > 0 then table.insert(missing, { groups[2] }) end
  if second > 0 then table.insert(missing, { groups[1] }) end
  return { outcome = "wait", missing = missing }
end
