import requests

url = "https://diem.example.com/etl-mgr/api/services"

payload = {
    "id": "60b5219d555eb079f59f4796",
    "params": {"action": "randstring", "payload": 16},
}
headers = {
    "content-type": "application/json",
    "x-api-key": "YOUR_API_KEY",
}

response = requests.request("POST", url, json=payload, headers=headers)
print(response.text)

url = "https://diem.example.com/etl-mgr/api/apijob"

payload = {"id": "5fd3a340b15cc4d3b71b7cc7", "action": "status"}

response = requests.request("POST", url, json=payload, headers=headers)
print(response.text)
