curl --silent --show-error --request POST \
  --url https://diem.example.com/etl-mgr/api/services \
  --header 'content-type: application/json' \
  --header 'x-api-key: YOUR_API_KEY' \
  --data '{"id":"60b5219d555eb079f59f4796","params":{"action":"randstring","payload":16}}'
echo
curl --silent --show-error --request POST \
  --url https://diem.example.com/etl-mgr/api/apijob \
  --header 'content-type: application/json' \
  --header 'x-api-key: YOUR_API_KEY' \
  --data '{"id":"5fd3a340b15cc4d3b71b7cc7","action":"status"}'
echo
